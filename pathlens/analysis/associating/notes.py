"""What a table of associations does not say."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pathlens.analysis.associating.hunting import Hunt
from pathlens.analysis.associating.resampling import FEW_GROUPS
from pathlens.analysis.associating.targets import Targets
from pathlens.analysis.results import join_notes, plural
from pathlens.analysis.source import PathData
from pathlens.concepts import unknown_images

MANY_STRANGERS = 0.1
"""A concept table with a larger share of images that the recording lacks is warned of."""


@dataclass(frozen=True)
class Strangers:
    """Images of a concept table that the recording does not have.

    Attributes:
        count: How many.
        named: Images that the table names.
        first: The first of them, "" for none.
    """

    count: int = 0
    named: int = 0
    first: str = ""

    @property
    def note(self) -> str:
        """What was left out; "" for nothing."""
        if not self.count:
            return ""
        return (
            f"{plural(self.count, 'image')} of the concept table that the recording does not have "
            f"(first: {self.first})"
        )

    @property
    def warning(self) -> str:
        """A sentence where they are many; "" where they are few."""
        if self.count <= MANY_STRANGERS * self.named:
            return ""
        return (
            f"Warning: {self.count:,} of the {plural(self.named, 'image')} of the concept table "
            f"({self.count / self.named:.0%}) are unknown to the recording and left out (first: "
            f"{self.first}); ids are those of the recording, paths below the data folder."
        )


def strangers(data: PathData, table: pd.DataFrame | None) -> Strangers:
    """Which images a concept table names that are not in the recording."""
    if table is None:
        return Strangers()
    unknown = unknown_images(table, data.images["image"].tolist())
    first = unknown[0] if unknown else ""
    return Strangers(len(unknown), int(table["image"].nunique()), first)


def left_out(hunt: Hunt, still: list[str], unknown: Strangers) -> str:
    """Concepts, images and layers that were not searched, and dependence that was not reckoned with.

    Args:
        hunt: How it was searched.
        still: Names of the layers without dynamic filters.
        unknown: Images of the concept table that are not in the recording.
    """
    targets = hunt.targets
    missing = [] if targets else ["everything (neither labels nor a concept table are known)"]
    shown = ", ".join(still[:8]) + (", ..." if len(still) > 8 else "")
    layers = f"{plural(len(still), 'layer')} without dynamic filters ({shown})"
    return join_notes(
        [
            *missing,
            *(note for target in targets for note in target.left_out),
            *(_unnamed(hunt, target) for target in targets),
            unknown.note,
            layers if still else "",
            *_dependence(hunt),
        ]
    )


def _unnamed(hunt: Hunt, target: Targets) -> str:
    absent = len(hunt.discovery) - len(target.discovery) - len(target.confirmation)
    if target.of_classes or not absent:
        return ""
    return f"{plural(absent, 'image')} that the concept table does not name"


def _dependence(hunt: Hunt) -> list[str]:
    """What holds of images that belong together."""
    if hunt.groups is None:
        return []
    groups = len(set(hunt.groups.tolist()))
    confirming = len(set(hunt.groups[~hunt.discovery].tolist()))
    notes = []
    if any(len(target.classes) for target in hunt.targets):
        notes.append(
            f"associations within classes, as images in {groups:,} groups depend on each other"
        )
    if not hunt.sequences:
        notes.append(
            f"dependence within {groups:,} groups of images in p (whole groups are on one side, and "
            "intervals are over whole groups, but p takes images as independent)"
        )
    if confirming < FEW_GROUPS:
        notes.append(
            f"other groups than these few: {plural(confirming, 'group')} of images to confirm on are "
            f"fewer than {FEW_GROUPS}, so that intervals over groups are too narrow"
        )
    return notes
