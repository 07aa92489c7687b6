"""The tree of dependences that loses least: Chow & Liu 1968."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Ints


def chow_liu_parents(rest: npt.NDArray[np.float32], blocks: list[slice]) -> Ints:
    """Parent of every filter in a maximum spanning tree of squared correlations; a root has itself.

    Filters of one block are joined to each other only. Given the class, mutual information of two
    gates is near - log(1 - correlation²) / 2, whose order is that of the squared correlation.

    Args:
        rest: float32 (images, filters), gates minus their rates in the class of the image.
        blocks: Columns within which a tree is built.

    Returns:
        int64 (filters,).
    """
    parents = np.arange(rest.shape[1], dtype=np.int64)
    for block in blocks:
        parents[block] = block.start + _prim(_squared_correlations(rest[:, block]))
    return parents


def _squared_correlations(rest: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    products = rest.T @ rest
    spread = np.sqrt(np.diag(products))
    scale = np.where(spread > 0, spread, np.inf)
    return np.asarray((products / scale[:, None] / scale[None, :]) ** 2, dtype=np.float32)


def _prim(weights: npt.NDArray[np.float32]) -> Ints:
    """Prim's algorithm from filter 0, which becomes the root; ties go to the first."""
    count = len(weights)
    parents = np.zeros(count, dtype=np.int64)
    best = weights[0].copy()
    best[0] = -np.inf
    outside = np.ones(count, dtype=bool)
    outside[0] = False
    for _ in range(count - 1):
        new = int(np.argmax(np.where(outside, best, -np.inf)))
        outside[new] = False
        nearer = outside & (weights[new] > best)
        best[nearer] = weights[new][nearer]
        parents[nearer] = new
    return parents
