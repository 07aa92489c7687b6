"""Choosing images to show: by seed, and every class alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Positions = npt.NDArray[np.int64]


def grouping(images: pd.DataFrame) -> tuple[str | None, npt.NDArray[np.int64] | None]:
    """What images can be sorted by: ("label" or "prediction" or None, int64 values or None).

    An image of which the value is unknown has -1.
    """
    for column in ("label", "prediction"):
        if column in images:
            return column, images[column].fillna(-1).to_numpy(dtype=np.int64)
    return None, None


def balanced_rows(
    groups: npt.NDArray[np.int64] | None, images: int, limit: int, seed: int
) -> Positions:
    """At most `limit` of `images` positions, as even over groups as they allow, sorted by group.

    Args:
        groups: Group of each image (images,); None where nothing is known: any images then.
        images: Number of images.
        limit: Largest number of positions to return.
        seed: Chooses which images of a group are kept.

    Returns:
        int64 positions, sorted by group and within a group by position.
    """
    generator = np.random.default_rng(seed)
    if groups is None:
        groups = np.zeros(images, dtype=np.int64)
    shuffled = generator.permutation(images)
    by_group = shuffled[np.argsort(groups[shuffled], kind="stable")]
    turn = _turn_within_group(groups[by_group])
    # First the first image of every group, then the second of every group, and so on.
    kept = by_group[np.argsort(turn, kind="stable")[:limit]]
    kept.sort()
    return np.asarray(kept[np.argsort(groups[kept], kind="stable")], dtype=np.int64)


def _turn_within_group(ordered: npt.NDArray[np.int64]) -> Positions:
    """For groups that stand together (n,): 0, 1, 2, ... within each of them."""
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(ordered)])
    return np.arange(len(ordered), dtype=np.int64) - np.repeat(starts, sizes)
