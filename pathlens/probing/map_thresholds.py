"""Thresholds of response maps: quantiles of all their pixels, from histograms of bounded size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats, Ints

QUANTILES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Shares of pixels that a unit is to be on for; each takes what fits best on discovery images.

No bin is split and bin 0 is never on: the share reached may differ, and stays below where a unit
responds on fewer pixels."""
FIXED = 0.005
"""The share that Network Dissection (Bau et al. 2017) takes for every unit and concept."""

_SHIFT = 16
_OCTAVE = 1 << (23 - _SHIFT)
_SMALLEST, _OCTAVES = -20, 40
_BELOW = (127 + _SMALLEST) * _OCTAVE - 1
BINS = 1 + _OCTAVES * _OCTAVE
"""Bin 0 is for what is no response (0, negative or below 2 to the -20th), above it 128 an octave."""


def bins_of(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """The bin of every value, in their order: equal or smaller values have no higher bin.

    The bits of positive floating-point numbers are in the order of the numbers, so that the first of
    them (the exponent and seven binary digits) are a logarithmic bin: its ends differ by less than
    0.8 %.

    Args:
        values: float32, any shape.
    """
    leading = np.ascontiguousarray(values).view(np.int32) >> _SHIFT
    return np.asarray(np.clip(leading - _BELOW, 0, BINS - 1))


def lower_edge(bin_number: int) -> float:
    """The smallest value in a bin above bin 0."""
    return float(np.array([(bin_number + _BELOW) << _SHIFT], dtype=np.int32).view(np.float32)[0])


def histogram(bins: npt.NDArray[np.int32]) -> Ints:
    """Number of values in every bin, int64 (BINS,)."""
    return np.bincount(bins.ravel(), minlength=BINS).astype(np.int64)


def above(counts: Ints) -> Ints:
    """Number of values in each bin or a higher one: int64 (..., BINS)."""
    return np.asarray(np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1])


def thresholds(counts: Ints) -> Ints:
    """The lowest bin that is on for each of the `QUANTILES`, int64 (quantiles,).

    The share of values in this bin or a higher one comes closest to the quantile, among equally close
    shares the smaller one. Never bin 0, so that nothing is on where a gate is off.

    Args:
        counts: int64 (BINS,), histogram of all pixels of a unit.
    """
    tail = above(counts)[1:]
    wanted = np.array(QUANTILES) * counts.sum()
    fewer = np.searchsorted(-tail, -wanted, side="left").clip(max=BINS - 2)
    more = np.searchsorted(-tail, -tail[np.maximum(fewer - 1, 0)], side="left")
    closer = np.abs(tail[more] - wanted) < np.abs(tail[fewer] - wanted)
    return np.asarray(1 + np.where(closer, more, fewer), dtype=np.int64)


def iou(both: Any, on: Any, has: Any) -> Floats:
    """Intersection over union, from counts of pixels; NaN where there is neither.

    Args:
        both: Pixels of the concept on which the unit is on.
        on: Pixels on which it is on.
        has: Pixels of the concept.
    """
    both = np.asarray(both, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(both / (np.asarray(on) + np.asarray(has) - both))


def ceiling(on: float, has: float) -> float:
    """The largest IoU of a unit that is on for a share of pixels and a concept that has another.

    The smaller of the two shares over the larger one; NaN if both are 0.
    """
    larger = max(on, has)
    return min(on, has) / larger if larger else float("nan")


def best_quantile(pixels: Ints, labelled: Ints, concept: Ints) -> tuple[float, int]:
    """The quantile with the largest IoU, the smallest among equals, and its threshold.

    Args:
        pixels: int64 (BINS,), histogram of the unit's values on all discovery pixels.
        labelled: The same on those that are labelled.
        concept: The same on those of the concept.

    Returns:
        One of `QUANTILES`, and the lowest bin that is on.
    """
    cuts = thresholds(pixels)
    found = iou(above(concept)[cuts], above(labelled)[cuts], concept.sum())
    best = int(np.nan_to_num(found).argmax())
    return QUANTILES[best], int(cuts[best])
