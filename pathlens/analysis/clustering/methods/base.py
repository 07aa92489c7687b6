"""What every method of clustering offers, and the silhouette by which cuts are judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from pathlens.analysis.source import Floats, Ints


@dataclass(frozen=True)
class Cut:
    """Images divided into clusters.

    Attributes:
        clusters: int64 (images,), from 1, the largest first; 0 for noise.
        silhouette: Mean silhouette of the images that are in a cluster, -1 to 1; not a number where
            there is no second cluster.
        criterion: How the number of clusters came about, in words.
    """

    clusters: Ints = field(repr=False)
    silhouette: float
    criterion: str


class ClusterMethod(Protocol):
    """A way to cluster; settings are attributes of a frozen dataclass."""

    def cut(self, distances: Floats, clusters: int | None) -> Cut:
        """Clusters of images, found without their classes.

        Args:
            distances: float64 (images, images), share of dynamic filters in which two paths differ. An
                image is a row, so that a path weighs as much as it has images.
            clusters: Their number; None for the method's own criterion.

        Raises:
            PathLensError: If the method cannot make so many.
        """
        ...


def mean_silhouette(sums: Floats, cut: Ints) -> float:
    """Mean silhouette (Rousseeuw 1987), from summed distances; 0 for an image alone in its cluster.

    Args:
        sums: float64 (images, clusters), summed distances of each image to each cluster.
        cut: int64 (images,), cluster of each image, from 0.
    """
    sizes = np.bincount(cut)
    if len(sizes) < 2:
        return -1.0
    rows = np.arange(len(cut))
    own = sums[rows, cut] / np.maximum(sizes[cut] - 1, 1)
    others = sums / sizes
    others[rows, cut] = np.inf
    nearest = others.min(axis=1)
    value = (nearest - own) / np.maximum(np.maximum(nearest, own), np.finfo(float).tiny)
    value[sizes[cut] == 1] = 0.0
    return float(value.mean())


def largest_first(cut: Ints) -> Ints:
    """Number clusters from 1 by falling size; ties keep the order of their first image."""
    _, first, which, sizes = np.unique(
        cut, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(1, len(sizes) + 1)
    return np.asarray(rank[which])
