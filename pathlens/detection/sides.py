"""Which clean images detectors are fitted on, which fix thresholds, and which are left alone."""

from __future__ import annotations

import numpy as np

from pathlens.analysis.source import Ints
from pathlens.detection.data import DetectionData

FIT, THRESHOLD, HELD_BACK = 0, 1, 2


def right_images(data: DetectionData) -> DetectionData:
    """The images that the network gets right; all where labels are not known."""
    if "label" not in data.images or data.images["label"].isna().any():
        return data
    return data.take(data.images["label"].to_numpy(dtype=np.int64) == data.predictions)


def shared_out(data: DetectionData, hold_back: float, seed: int) -> Ints:
    """FIT, THRESHOLD or HELD_BACK of each image: int64 (images,), even within each predicted class.

    Images of one group stay together; of what is not held back half is fitted on.

    Args:
        data: All clean images.
        hold_back: Share that is left alone, from 0 to below 1.
        seed: Draws who goes where.
    """
    group = data.sources
    if "group" in data.images:
        given = data.images["group"].fillna("").to_numpy(dtype=object)
        group = np.where(given != "", given, group)
    _, first, member = np.unique(group, return_index=True, return_inverse=True)
    rng = np.random.default_rng(seed)
    sides = np.full(len(first), THRESHOLD, dtype=np.int64)
    held, spare = 0.0, 0
    for label in np.unique(data.predictions[first]):
        groups = rng.permutation(np.flatnonzero(data.predictions[first] == label))
        # What rounding takes from one class the next one gets.
        kept = len(groups) - int(held + hold_back * len(groups) + 1e-9)
        held += hold_back * len(groups) - (len(groups) - kept)
        half, spare = divmod(kept + spare, 2)
        sides[groups[:half]] = FIT
        sides[groups[kept:]] = HELD_BACK
    return np.asarray(sides[member])
