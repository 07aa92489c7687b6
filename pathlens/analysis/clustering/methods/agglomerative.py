"""Average linkage, cut where the mean silhouette is highest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathlens.analysis.clustering.methods.base import Cut, largest_first, mean_silhouette
from pathlens.analysis.source import Floats, Ints
from pathlens.errors import PathLensError


@dataclass(frozen=True)
class Agglomerative:
    """Agglomerative clustering by average linkage (Sokal & Michener 1958).

    Of all cuts into 2 to `most` clusters the one with the highest mean silhouette (Rousseeuw 1987) is
    taken, among those with at least two clusters of `smallest` of the images or more: else cuts that
    only split off single odd images often win.

    Attributes:
        most: Largest number of clusters tried.
        smallest: Share of the images below which a cluster is of odd ones out.
    """

    most: int = 30
    smallest: float = 0.01

    def cut(self, distances: Floats, clusters: int | None) -> Cut:
        """Clusters of images from their distances, float64 (images, images)."""
        from scipy.cluster import hierarchy
        from scipy.spatial.distance import squareform

        images = len(distances)
        if clusters is not None and not 1 <= clusters <= images:
            raise PathLensError(
                f"{clusters} clusters cannot be made of {images} images: give 1 to {images}."
            )
        tree = hierarchy.linkage(squareform(distances, checks=False), "average")
        wanted = range(2, min(self.most, images) + 1) if clusters is None else [clusters]
        cuts = [
            np.asarray(hierarchy.fcluster(tree, count, "maxclust"), dtype=np.int64) - 1
            for count in wanted
        ]
        cuts = [cut for cut in cuts if self._large(cut) > 1] or cuts
        scores = _silhouettes(distances, cuts)
        best = int(np.argmax(scores))
        named = "as asked" if clusters is not None else f"best of 2 to {self.most} by silhouette"
        several = cuts[best].max() > 0
        return Cut(largest_first(cuts[best]), scores[best] if several else float("nan"), named)

    def _large(self, cut: Ints) -> int:
        return int((np.bincount(cut) >= self.smallest * len(cut)).sum())


def _silhouettes(distances: Floats, cuts: list[Ints]) -> list[float]:
    """Mean silhouette for each of nested cuts of one tree, the finest last."""
    finest = cuts[-1]
    member = np.eye(finest.max() + 1)[finest]
    sums = distances @ member
    scores = []
    for cut in cuts:
        # Every cluster of a coarser cut is a union of the finest ones.
        parent = np.zeros(member.shape[1], dtype=np.int64)
        parent[finest] = cut
        scores.append(mean_silhouette(sums @ np.eye(cut.max() + 1)[parent], cut))
    return scores
