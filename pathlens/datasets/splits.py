"""Seeded, class-balanced parts of a split."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pathlens.datasets.base import ImageSplit
from pathlens.errors import PathLensError

Positions = npt.NDArray[np.int64]


def take(split: ImageSplit, limit: int, seed: int = 0) -> ImageSplit:
    """A random part of a split with as equal a number of images of each class as there are.

    A smaller limit with the same seed gives a part of the larger one.

    Args:
        split: Images with or without labels; without, every image is as likely as another.
        limit: Number of images to keep; the whole split if it has no more.
        seed: Decides which images.

    Returns:
        The part, its images in the order that they have in `split`.

    Raises:
        PathLensError: If `limit` is less than 1.
    """
    if limit < 1:
        raise PathLensError(f"A limit of {limit} images leaves nothing: give at least 1.")
    if limit >= len(split):
        return split
    labels = np.zeros(len(split), np.int64) if split.labels is None else split.labels
    rng = np.random.default_rng(seed)
    rank = _rank_within_class(labels, rng)
    # The first image of every class goes before the second of any; which class is served first
    # within a round is drawn, so that a remainder favours none.
    turn = rng.permutation(int(labels.max()) + 1)[labels]
    kept = np.lexsort((turn, rank))[:limit]
    return split.subset(np.sort(kept))


def hold_out(split: ImageSplit, share: float = 0.1, seed: int = 0) -> tuple[ImageSplit, ImageSplit]:
    """Cut a labelled split in two, each class by the same share.

    Args:
        split: Images with labels.
        share: Share of each class that is held out, between 0 and 1, rounded to whole images. A
            class with at least two images has at least one on either side; the only image of a
            class is not held out.
        seed: Decides which images.

    Returns:
        The kept part and the held-out part, named "train" and "validation", their images in the
        order that they have in `split`.

    Raises:
        ValueError: If `split` has no labels or `share` is not between 0 and 1.
    """
    if split.labels is None:
        raise ValueError("images without labels cannot be cut by class")
    if not 0 < share < 1:
        raise ValueError(f"share is {share}, not between 0 and 1")
    rank = _rank_within_class(split.labels, np.random.default_rng(seed))
    counts = np.bincount(split.labels, minlength=1)
    held = np.clip(np.rint(share * counts), np.minimum(1, counts - 1), counts - 1)
    is_held = rank < held[split.labels]
    kept_positions, held_positions = np.flatnonzero(~is_held), np.flatnonzero(is_held)
    return split.subset(kept_positions, "train"), split.subset(held_positions, "validation")


def _rank_within_class(labels: Positions, rng: np.random.Generator) -> Positions:
    """Number the images of each class from 0 in random order: int64 (images,)."""
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    sorted_labels = labels[by_class]
    starts = np.searchsorted(sorted_labels, sorted_labels)
    rank = np.empty(len(labels), np.int64)
    rank[by_class] = np.arange(len(labels)) - starts
    return rank
