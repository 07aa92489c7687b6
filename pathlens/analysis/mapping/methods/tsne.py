"""t-SNE, by openTSNE."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from pathlens.analysis.mapping.methods.base import principal_places
from pathlens.analysis.neighbours import nearest
from pathlens.analysis.source import Bits, Floats


@dataclass(frozen=True)
class TSNE:
    """t-SNE (van der Maaten & Hinton 2008) on exact nearest neighbours by Hamming distance.

    On 0/1 rows the squared Euclidean distance that its affinities are made of is the number of filters
    in which two paths differ. Repulsion is computed by Barnes-Hut trees (van der Maaten 2014) below
    10,000 paths and by interpolation (Linderman et al. 2019) from there on.

    Attributes:
        perplexity: Effective number of neighbours; three times as many are looked at.
        early: Iterations with exaggerated attraction, by a factor of 12.
        late: Iterations after them. 100 and 250 keep as many neighbours as the usual 250 and 500 to
            750, in half the time or less (analyses/benchmarks/maps.csv).
        placing: Iterations in which new paths find their place.
    """

    perplexity: float = 30.0
    early: int = 100
    late: int = 250
    placing: int = 100

    def lay_out(self, paths: Bits, seed: int) -> Floats:
        """Places of the paths: float64 (paths, 2)."""
        from openTSNE import TSNEEmbedding

        conditional = self._affinities(paths, None)
        # As in the paper: symmetric, and all pairs sum to one.
        joint = (conditional + conditional.T) / (2 * len(paths))
        start = principal_places(paths, seed)
        layout = TSNEEmbedding(
            start, _known(joint), negative_gradient_method="auto", n_jobs=1, random_state=seed
        )
        layout = layout.optimize(self.early, exaggeration=12, momentum=0.5, learning_rate="auto")
        layout = layout.optimize(self.late, momentum=0.8, learning_rate="auto")
        return np.array(layout, dtype=np.float64)

    def place(self, new: Bits, paths: Bits, places: Floats) -> Floats:
        """Places of other paths: float64 (new, 2), by attraction to and repulsion from the map alone.

        Each starts at the median of its nearest paths (Poličar, Stražar & Zupan 2023).
        """
        from openTSNE.tsne import PartialTSNEEmbedding, TSNEEmbedding

        attraction = self._affinities(paths, new)
        _, neighbours = nearest(paths, new, min(len(paths), 5), threads=1)
        # Interpolation on a grid throws off what is placed outside of it: trees only.
        fixed = TSNEEmbedding(
            places.copy(), _known(attraction, len(paths)), negative_gradient_method="bh", n_jobs=1
        )
        moved = PartialTSNEEmbedding(
            np.median(places[neighbours], axis=1),
            fixed,
            attraction,
            **fixed.gradient_descent_params,
        )
        moved = moved.optimize(
            self.placing, exaggeration=1.5, momentum=0.8, learning_rate=0.1, max_grad_norm=0.25
        )
        return np.array(moved, dtype=np.float64)

    def _affinities(self, paths: Bits, queries: Bits | None) -> Any:
        """Sparse (queries, paths), rows summing to one: P(j | i) at the perplexity."""
        from openTSNE.affinity import joint_probabilities_nn

        others = len(paths) - (queries is None)
        count = min(others, int(3 * self.perplexity))
        apart, neighbours = nearest(paths, queries, count, threads=1)
        return joint_probabilities_nn(
            neighbours,
            np.sqrt(apart),
            [min(self.perplexity, count / 3)],
            symmetrize=False,
            normalization="point-wise",
            n_reference_samples=len(paths),
        )


def _known(affinities: Any, paths: int | None = None) -> Any:
    """Affinities in the form that an embedding takes; a fixed one looks at their shape alone."""
    from scipy.sparse import csr_matrix

    matrix = affinities if paths is None else csr_matrix((paths, paths))
    return SimpleNamespace(P=matrix, n_samples=matrix.shape[0])
