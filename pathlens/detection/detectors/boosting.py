"""Supervised: gradient boosting on a path and its distances by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.inputs import learn_inputs
from pathlens.detection.detectors.tree_arrays import (
    FittedTrees,
    Tree,
    fitted_trees_from,
    joined_trees,
)
from pathlens.detection.detectors.values import Values
from pathlens.layers import LayerSpec, LayerTable


@dataclass(frozen=True)
class Boosting:
    """Histogram gradient boosting of log odds (Friedman 2001; Ke et al. 2017).

    Attributes:
        layers: Layers by number, name or glob; all for None.
        values: Whether it looks at gates or scores.
        rounds: Number of trees.
        rate: Learning rate.
        leaves: Most leaves of a tree.
        seed: Seed of the draws.
    """

    layers: tuple[LayerSpec, ...] | None = None
    values: Values = "bits"
    rounds: int = 150
    rate: float = 0.1
    leaves: int = 15
    seed: int = 0
    name: str = "boosting"
    supervised: bool = True

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedTrees:
        """Fit to clean and attacked images.

        Raises:
            PathLensError: If there are fewer than 2 of either, or no scores to look at.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        examples = learn_inputs(self.name, self.layers, self.values, clean, attacked)
        model = HistGradientBoostingClassifier(
            learning_rate=self.rate,
            max_iter=self.rounds,
            max_leaf_nodes=self.leaves,
            early_stopping=False,
            class_weight="balanced",
            random_state=self.seed,
        ).fit(examples.table, examples.attacked)
        # The library offers no public view of these trees; a test holds the copy against it.
        trees = [_plain(found[0].nodes) for found in model._predictors]
        offset = float(np.ravel(model._baseline_prediction)[0])
        return FittedTrees(examples.inputs, joined_trees(trees), offset)

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedTrees:
        """The inverse of `to_arrays`."""
        return fitted_trees_from(layers, self.values, arrays)


def _plain(nodes: Any) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=np.where(leaf, -1, nodes["feature_idx"]).astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        value=np.where(leaf, nodes["value"], 0.0),
    )
