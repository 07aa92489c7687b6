"""Thresholds at which real-valued scores have given on-rates, and what a manifest says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.recording.bits import Bits

Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_ALWAYS, _NEVER = "always", "never"


@dataclass(frozen=True)
class Thresholds:
    """One layer's thresholds, one a filter, and how well they do.

    Attributes:
        values: A bit is on where the score is above it; minus infinity: always on; infinity: never.
        wanted: Number of calibration images for which the bit ought to be on.
        reached: Number of them for which it is.
        mean: Mean of the layer's pooled input, one a channel; None where it is not standardised.
        deviation: Its standard deviation; 1 for a channel that is constant.
    """

    values: Numbers
    wanted: Counts
    reached: Counts
    mean: Numbers | None = None
    deviation: Numbers | None = None

    @staticmethod
    def fit(
        scores: npt.NDArray[np.floating[Any]],
        wanted: Counts,
        mean: Numbers | None = None,
        deviation: Numbers | None = None,
    ) -> Thresholds:
        """Choose the thresholds of a layer.

        Args:
            scores: (images, filters).
            wanted: How many of the images are to be on, (filters,).
            mean: See the class.
            deviation: See the class.
        """
        values = np.array(
            [threshold(scores[:, j], int(count)) for j, count in enumerate(wanted)],
            dtype=np.float64,
        )
        reached = _above(scores, values).sum(axis=0, dtype=np.int64)
        return Thresholds(values, np.asarray(wanted, dtype=np.int64), reached, mean, deviation)

    def bits(self, scores: npt.NDArray[np.floating[Any]]) -> Bits:
        """Bits of images with these scores, bool (images, filters)."""
        return _above(scores, self.values)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the manifest holds them."""
        entry: dict[str, Any] = {
            "thresholds": [_shown(value) for value in self.values.tolist()],
            "wanted": self.wanted.tolist(),
            "reached": self.reached.tolist(),
        }
        if self.mean is not None and self.deviation is not None:
            entry |= {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}
        return entry

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> Thresholds:
        """The inverse of `to_json`, to the last bit.

        Raises:
            KeyError, TypeError, ValueError: If the entry is not one of these.
        """
        statistics = [
            np.array(entry[name], dtype=np.float64) if name in entry else None
            for name in ("mean", "deviation")
        ]
        return Thresholds(
            np.array([_read(value) for value in entry["thresholds"]], dtype=np.float64),
            np.array(entry["wanted"], dtype=np.int64),
            np.array(entry["reached"], dtype=np.int64),
            *statistics,
        )


def threshold(scores: npt.NDArray[np.floating[Any]], wanted: int) -> float:
    """The threshold above which as near to `wanted` of the scores lie as ties allow.

    It lies halfway between two neighbouring scores, so that rounding moves none across. Of two
    counts equally near the larger one is taken. None and all mean so for every image that may come.

    Args:
        scores: float32 (images,).
        wanted: From 0 to the number of images.

    Returns:
        The threshold; infinity for 0, minus infinity for all.
    """
    if wanted == 0:
        return np.inf
    if wanted == len(scores):
        return -np.inf
    levels, counts = np.unique(scores.astype(np.float64), return_counts=True)
    above = len(scores) - np.concatenate([[0], np.cumsum(counts)])
    cut = int(np.abs(above - wanted).argmin())
    if cut == 0:
        return float(np.nextafter(levels[0], -np.inf))
    if cut == len(levels):
        return float(levels[-1])
    return float((levels[cut - 1] + levels[cut]) / 2)


def _above(scores: npt.NDArray[np.floating[Any]], values: Numbers) -> Bits:
    # Infinite thresholds hold for scores that are infinite or not a number, too.
    on: Bits = (scores.astype(np.float64) > values) & (values != np.inf) | (values == -np.inf)
    return on


def _shown(value: float) -> float | str:
    # JSON has no infinity.
    if np.isinf(value):
        return _NEVER if value > 0 else _ALWAYS
    return value


def _read(value: Any) -> float:
    return {_NEVER: np.inf, _ALWAYS: -np.inf}.get(value) or float(value)
