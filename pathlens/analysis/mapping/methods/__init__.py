"""Methods that lay paths out in the plane. One method a file: a frozen dataclass and a line here."""

from __future__ import annotations

from pathlens.analysis.mapping.methods.base import MapMethod
from pathlens.analysis.mapping.methods.tsne import TSNE
from pathlens.analysis.mapping.methods.umap import UMAP
from pathlens.errors import unknown

__all__ = ["METHODS", "TSNE", "UMAP", "MapMethod", "map_method"]

METHODS: dict[str, MapMethod] = {"tsne": TSNE(), "umap": UMAP()}
"""The methods by the name that `path_map` takes, with their default settings."""


def map_method(name: str) -> MapMethod:
    """The method of that name.

    Raises:
        PathLensError: If there is none.
    """
    if name not in METHODS:
        raise unknown("map method", name, METHODS)
    return METHODS[name]
