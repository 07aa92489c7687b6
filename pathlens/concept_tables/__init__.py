"""Building concept tables from masks, boxes, hierarchies, attributes and counts; no torch.

Every `build_...` function returns columns image (as `pathlens record` names it), concept and value
(0 to 1), sorted, as `pathlens.concepts` reads and writes them. The names below are imported when
first used, so that importing the room costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlens.concept_tables.attributes import build_attributes
    from pathlens.concept_tables.boxes import build_boxes
    from pathlens.concept_tables.counts import build_counts
    from pathlens.concept_tables.hierarchy import build_hierarchy
    from pathlens.concept_tables.masks import build_masks
    from pathlens.concept_tables.summary import Coverage, coverage, summarise

__all__ = [
    "Coverage",
    "build_attributes",
    "build_boxes",
    "build_counts",
    "build_hierarchy",
    "build_masks",
    "coverage",
    "summarise",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name.startswith("build_"):
        from pathlens.concept_tables.registry import builder

        return builder(name.removeprefix("build_"))
    from pathlens.concept_tables import summary

    return getattr(summary, name)
