"""How alike the gate rates of classes are, and the dendrogram that this makes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pathlens.analysis.source import Floats, Ints


def differences_of(counted: Sequence[Ints], sizes: Ints) -> Floats:
    """Summed absolute differences of the rates of two classes: float64 (layers, pairs).

    Mute and high-energy filters add nothing: they are equal in all classes.

    Args:
        counted: Of each layer, int64 (classes, filters), images with the gate on.
        sizes: int64 (classes,), images; classes without any are not compared.

    Returns:
        Pairs in the order of scipy's `squareform`.
    """
    from scipy.spatial.distance import pdist

    present = sizes > 0
    return np.stack([pdist(one[present] / sizes[present][:, None], "cityblock") for one in counted])


def similarity_from(differences: Floats, filters: int) -> Floats:
    """1 - mean absolute difference as a square; 1 everywhere where there is no filter."""
    from scipy.spatial.distance import squareform

    return np.asarray(1 - np.atleast_2d(squareform(differences)) / max(filters, 1))


def mean_similarity(differences: Floats, filters: Ints | int) -> Floats:
    """Mean similarity over pairs of classes (the last axis); not a number without a pair."""
    if not differences.shape[-1]:
        return np.full(differences.shape[:-1], np.nan)
    return np.asarray(1 - differences.mean(axis=-1) / np.maximum(filters, 1))


def tree(similarity: Floats) -> tuple[Floats, list[int]]:
    """Average linkage with neighbouring leaves as alike as possible, and the leaf order.

    Args:
        similarity: float64 (classes, classes), at most 1.
    """
    if len(similarity) < 2:
        return np.zeros((0, 4)), list(range(len(similarity)))
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    distances = squareform(1 - similarity, checks=False)
    linkage = hierarchy.linkage(distances, "average", optimal_ordering=True)
    return np.asarray(linkage), [int(i) for i in hierarchy.leaves_list(linkage)]
