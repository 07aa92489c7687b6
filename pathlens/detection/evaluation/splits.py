"""Which source images are fitted on, fix thresholds, and are tested: never two of these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Ints
from pathlens.errors import PathLensError

FIT, THRESHOLD, TEST = 0, 1, 2


@dataclass(frozen=True)
class Shares:
    """How the source images are shared out.

    Attributes:
        fit: Share that detectors are fitted on.
        threshold: Share of clean images that fixes thresholds.
        test: Share that is tested.
    """

    fit: float = 0.22
    threshold: float = 0.25
    test: float = 0.53

    def __post_init__(self) -> None:
        shares = (self.fit, self.threshold, self.test)
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
            raise PathLensError(
                f"The shares to fit, threshold and test are {shares}: give three above 0 that add "
                "up to 1."
            )


def split_sources(
    labels: Ints, patterns: npt.NDArray[np.int64], seed: int, shares: Shares | None = None
) -> npt.NDArray[np.int8]:
    """FIT, THRESHOLD or TEST for each source: int8 (sources,), balanced over classes.

    Thresholds need clean images only: they are fixed on sources of which nothing was altered, as far
    as there are enough of them, so that altered images are not lost to them. The others are divided
    evenly within each class and each pattern of sets that they were altered for.

    Args:
        labels: int64 (sources,), class of each source.
        patterns: int64 (sources,), which sets hold images made of the source, as a number; 0 for none.
        seed: Seed of the split.
        shares: How many go where.
    """
    chosen = shares or Shares()
    rng = np.random.default_rng(seed)
    parts = np.full(len(labels), TEST, dtype=np.int8)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        members = members[np.argsort(patterns[members], kind="stable")]
        held = _threshold_members(members, patterns, chosen.threshold, rng)
        parts[held] = THRESHOLD
        rest = members[parts[members] != THRESHOLD]
        wanted = round(len(rest) * chosen.fit / (chosen.fit + chosen.test))
        parts[rest[_spaced(len(rest), _within(wanted, 1, len(rest) - 1), rng)]] = FIT
    return parts


def _threshold_members(
    members: npt.NDArray[np.intp], patterns: Ints, share: float, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Sources of one class that fix thresholds: those with nothing altered first."""
    wanted = _within(round(len(members) * share), 1, len(members) - 2)
    free, altered = members[patterns[members] == 0], members[patterns[members] != 0]
    from_free = min(wanted, len(free))
    more = altered[_spaced(len(altered), wanted - from_free, rng)]
    return np.concatenate([free[:from_free], more])


def _within(value: int, low: int, high: int) -> int:
    return max(min(max(value, low), high), 0)


def _spaced(count: int, wanted: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """`wanted` of `count` positions at even distances from a random start."""
    if not wanted:
        return np.zeros(0, dtype=np.int64)
    return ((np.arange(wanted) + rng.random()) * count / wanted).astype(np.int64)
