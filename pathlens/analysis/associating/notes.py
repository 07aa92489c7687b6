"""What a table of associations does not say."""

from __future__ import annotations

from pathlens.analysis.associating.hunting import Hunt
from pathlens.analysis.associating.resampling import FEW_GROUPS
from pathlens.analysis.associating.targets import Targets
from pathlens.analysis.results import join_notes, plural


def left_out(hunt: Hunt, still: list[str]) -> str:
    """Concepts, images and layers that were not searched, and dependence that was not reckoned with.

    Args:
        hunt: How it was searched.
        still: Names of the layers without dynamic filters.
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
