"""UMAP, by umap-learn."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from pathlens.analysis.mapping.methods.base import principal_places
from pathlens.analysis.neighbours import nearest
from pathlens.analysis.source import Bits, Floats


@dataclass(frozen=True)
class UMAP:
    """UMAP (McInnes, Healy & Melville 2018) on exact nearest neighbours by Hamming distance.

    The first map in a process takes about a minute longer: umap-learn compiles itself.

    Attributes:
        neighbours: Neighbours that a path is tied to, itself counted, as umap-learn does.
        separation: Smallest distance at which the layout tries to keep paths (umap-learn's min_dist).
        placing: Neighbours of a new path; it lies at the median of their places.
    """

    neighbours: int = 15
    separation: float = 0.1
    placing: int = 5

    def lay_out(self, paths: Bits, seed: int) -> Floats:
        """Places of the paths: float64 (paths, 2)."""
        count = min(self.neighbours, len(paths) - 1)
        apart, neighbours = nearest(paths, None, count - 1, threads=1)
        itself = np.arange(len(paths), dtype=np.int64)[:, None]
        indices = np.hstack([itself, neighbours])
        distances = np.hstack([np.zeros_like(itself), apart]).astype(np.float32)
        with warnings.catch_warnings():
            # It warns that it cannot place new paths, and of filters too few to be approximated.
            warnings.simplefilter("ignore")
            import umap

            # Its own start from the graph fails where the graph falls into parts.
            layout = umap.UMAP(
                n_neighbors=count,
                min_dist=self.separation,
                init=principal_places(paths, seed),
                precomputed_knn=(indices, distances),
                random_state=seed,
                n_jobs=1,
            ).fit_transform(paths.astype(np.float32))
        return np.asarray(layout, dtype=np.float64)

    def place(self, new: Bits, paths: Bits, places: Floats) -> Floats:
        """Places of other paths: float64 (new, 2), the median of their nearest paths' places.

        umap-learn places nothing on a map of given neighbours, and its own way depends on what else
        is placed at once.
        """
        _, neighbours = nearest(paths, new, min(self.placing, len(paths)), threads=1)
        return np.asarray(np.median(places[neighbours], axis=1))
