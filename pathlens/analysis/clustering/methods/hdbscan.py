"""HDBSCAN, by scikit-learn: as many clusters as are dense, and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pathlens.analysis.clustering.methods.base import Cut, largest_first, mean_silhouette
from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.errors import PathLensError


@dataclass(frozen=True)
class HDBSCAN:
    """Hierarchical density-based clustering (Campello, Moulavi & Sander 2013).

    Its number of clusters follows from the smallest cluster that counts: those of the condensed tree
    with the largest excess of mass are taken. Images in no dense place are noise.

    Attributes:
        smallest: Share of the images that a cluster needs, and never fewer than `fewest` images. Where
            it is smaller, clusters break apart, as few distances are possible: every whole number of
            filters is a step of the tree.
        fewest: See `smallest`.
        neighbours: Neighbours, the image itself counted, within which a place is dense.
    """

    smallest: float = 0.02
    fewest: int = 15
    neighbours: int = 5

    def cut(self, distances: Floats, clusters: int | None) -> Cut:
        """Clusters of images from their distances, float64 (images, images)."""
        if clusters is not None:
            raise PathLensError(
                "hdbscan finds its own number of clusters: leave clusters out, or take the "
                "agglomerative method."
            )
        size = max(self.fewest, math.ceil(self.smallest * len(distances)))
        named = f"excess of mass, clusters of {size} images or more"
        if len(distances) <= size:
            return Cut(np.zeros(len(distances), dtype=np.int64), float("nan"), named)
        found = self._labels(_reachability(distances, self.neighbours), size)
        ranked = np.zeros(len(found), dtype=np.int64)
        kept = found >= 0
        if kept.any():
            ranked[kept] = largest_first(found[kept])
        return Cut(ranked, _silhouette(distances[np.ix_(kept, kept)], ranked[kept]), named)

    def _labels(self, reach: Floats, size: int) -> Ints:
        from sklearn.cluster import HDBSCAN as Peer

        made = Peer(min_cluster_size=size, min_samples=1, metric="precomputed", n_jobs=1, copy=True)
        found = np.asarray(made.fit(reach).labels_, dtype=np.int64)
        for cluster in range(found.max(initial=-1) + 1):
            members = np.flatnonzero(found == cluster)
            found[members[~_dense(reach, found == cluster, size)]] = -1
        return found


def _dense(reach: Floats, inside: Bits, size: int) -> Bits:
    """Which members hold together more closely than the cluster holds to the rest.

    Few distances are possible, and where many are equal, the order of images decides what the tree
    joins first. What was joined no sooner than the rest was joined by that order alone.
    """
    from scipy.sparse.csgraph import connected_components

    outside = reach[np.ix_(inside, ~inside)].min(initial=np.inf)
    own = reach[np.ix_(inside, inside)]
    part = connected_components(own < outside, directed=False)[1]
    return np.asarray(np.bincount(part)[part] >= size)


def _reachability(distances: Floats, neighbours: int) -> Floats:
    """Mutual reachability: distance, but never less than to either image's last near neighbour."""
    # Images that share a path would lie at infinite density: a constant below every step between
    # different paths leaves the tree as it is.
    apart = distances + _half_step(distances)
    np.fill_diagonal(apart, 0.0)
    last = min(neighbours, len(apart)) - 1
    core = np.partition(apart, last, axis=1)[:, last]
    reach = np.maximum(apart, np.maximum(core[:, None], core[None, :]))
    np.fill_diagonal(reach, 0.0)
    return np.asarray(reach)


def _half_step(distances: Floats) -> float:
    """Half the smallest distance between different paths."""
    positive = distances[distances > 0]
    return float(positive.min()) / 2 if len(positive) else 1.0


def _silhouette(distances: Floats, clusters: Ints) -> float:
    """Mean silhouette of images in clusters numbered from 1."""
    if not len(clusters) or clusters.max() < 2:
        return float("nan")
    cut = clusters - 1
    return mean_silhouette(distances @ np.eye(cut.max() + 1)[cut], cut)
