"""The datasets room: named and embedded data sets, image folders, seeded splits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlens.datasets.base import Dataset, ImageSplit, UnreadableImageError
    from pathlens.datasets.registry import load_dataset

__all__ = ["Dataset", "ImageSplit", "UnreadableImageError", "load_dataset"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that the room opens at no cost."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pathlens.datasets import base, registry

    return getattr(registry if name == "load_dataset" else base, name)
