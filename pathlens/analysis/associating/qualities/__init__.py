"""Qualities of a combination. One quality a file: a frozen dataclass and a line here."""

from __future__ import annotations

from pathlens.analysis.associating.qualities.base import Quality, value
from pathlens.analysis.associating.qualities.lift import Lift
from pathlens.analysis.associating.qualities.phi import Phi
from pathlens.analysis.associating.qualities.wracc import WeightedRelativeAccuracy
from pathlens.errors import unknown

__all__ = ["QUALITIES", "Lift", "Phi", "Quality", "WeightedRelativeAccuracy", "quality", "value"]

QUALITIES: dict[str, Quality] = {
    "phi": Phi(),
    "wracc": WeightedRelativeAccuracy(),
    "lift": Lift(),
}
"""The qualities by the name that `search_layer` takes."""


def quality(name: str) -> Quality:
    """The quality of that name.

    Raises:
        PathLensError: If there is none.
    """
    if name not in QUALITIES:
        raise unknown("quality", name, QUALITIES)
    return QUALITIES[name]
