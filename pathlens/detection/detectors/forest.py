"""Supervised: random forest on a path and its distances by layer."""

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
class Forest:
    """Random forest (Breiman 2001); the score is the mean share of attacked images in the leaves.

    Attributes:
        layers: Layers by number, name or glob; all for None.
        values: Whether it looks at gates or scores.
        trees: Number of trees.
        leaf: Least images in a leaf.
        seed: Seed of the draws.
    """

    layers: tuple[LayerSpec, ...] | None = None
    values: Values = "bits"
    trees: int = 200
    leaf: int = 3
    seed: int = 0
    name: str = "forest"
    supervised: bool = True

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedTrees:
        """Fit to clean and attacked images.

        Raises:
            PathLensError: If there are fewer than 2 of either, or no scores to look at.
        """
        from sklearn.ensemble import RandomForestClassifier

        examples = learn_inputs(self.name, self.layers, self.values, clean, attacked)
        model = RandomForestClassifier(
            self.trees,
            min_samples_leaf=self.leaf,
            class_weight="balanced",
            random_state=self.seed,
            n_jobs=1,
        ).fit(examples.table, examples.attacked)
        trees = [_plain(found.tree_, self.trees) for found in model.estimators_]
        return FittedTrees(examples.inputs, joined_trees(trees), 0.0)

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedTrees:
        """The inverse of `to_arrays`."""
        return fitted_trees_from(layers, self.values, arrays)


def _plain(tree: Any, trees: int) -> Tree:
    shares = tree.value[:, 0, :]
    return Tree(
        feature=np.where(tree.children_left < 0, -1, tree.feature).astype(np.int64),
        threshold=tree.threshold.astype(np.float64),
        left=tree.children_left.astype(np.int64),
        right=tree.children_right.astype(np.int64),
        value=shares[:, 1] / shares.sum(axis=1) / trees,
    )
