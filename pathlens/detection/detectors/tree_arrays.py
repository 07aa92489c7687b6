"""Trees as plain arrays: what scikit-learn fits, kept without pickle and scored with numpy.

A pickle runs code when it is opened and may not open under another version of the library. Arrays do
neither, and the fitted detector no longer needs scikit-learn. Tests hold the scores against the
library's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats, Ints
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays
from pathlens.detection.detectors.class_tables import row_blocks
from pathlens.detection.detectors.inputs import Inputs, inputs_from
from pathlens.detection.detectors.values import Values
from pathlens.layers import LayerTable


@dataclass(frozen=True)
class Tree:
    """One binary tree; node 0 is its root.

    Attributes:
        feature: Input that a node looks at; -1 for a leaf.
        threshold: Where input <= threshold, it goes left.
        left: Node to the left.
        right: Node to the right.
        value: What a leaf adds.
    """

    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    value: Floats


@dataclass(frozen=True, eq=False)
class Trees:
    """Sum of the leaves that an image falls into, over all trees.

    Attributes:
        roots: int64 (trees,), node of each root.
        feature: int64 (nodes,), as `Tree` has it; a leaf looks at input 0 and goes to itself.
        threshold: float64 (nodes,).
        children: int64 (nodes, 2), left and right.
        value: float64 (nodes,).
        depth: Steps from a root after which every image is in a leaf.
    """

    roots: Ints
    feature: Ints = field(repr=False)
    threshold: Floats = field(repr=False)
    children: Ints = field(repr=False)
    value: Floats = field(repr=False)
    depth: int

    def sums(self, table: npt.NDArray[np.float32]) -> Floats:
        """float64 (images,)."""
        found = np.empty(len(table))
        for block in row_blocks(len(table)):
            found[block] = self._sums(table[block])
        return found

    def _sums(self, table: npt.NDArray[np.float32]) -> Floats:
        nodes = np.repeat(self.roots[None, :], len(table), axis=0)
        rows = np.arange(len(table))[:, None]
        for _ in range(self.depth):
            right = table[rows, self.feature[nodes]] > self.threshold[nodes]
            nodes = self.children[nodes, right.astype(np.int8)]
        return np.asarray(self.value[nodes].sum(axis=1))


def joined_trees(trees: Sequence[Tree]) -> Trees:
    """Several trees in one set of arrays."""
    sizes = [len(tree.feature) for tree in trees]
    roots = np.cumsum([0, *sizes])[:-1]
    children = []
    for tree, root in zip(trees, roots, strict=True):
        leaf = tree.feature < 0
        stay = np.arange(len(leaf))
        sides = [np.where(leaf, stay, side) for side in (tree.left, tree.right)]
        children.append(np.column_stack(sides) + root)
    feature = np.concatenate([tree.feature for tree in trees])
    return Trees(
        roots=roots,
        feature=np.maximum(feature, 0),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        children=np.concatenate(children),
        value=np.concatenate([tree.value for tree in trees]),
        depth=max(_depth(tree) for tree in trees),
    )


def _depth(tree: Tree) -> int:
    level, depth = np.array([0]), 0
    while (inner := level[tree.feature[level] >= 0]).size:
        level = np.concatenate([tree.left[inner], tree.right[inner]])
        depth += 1
    return depth


@dataclass(frozen=True, eq=False)
class FittedTrees:
    """Offset and the sum of trees over the inputs of an image.

    Attributes:
        inputs: Makes inputs of images.
        trees: The trees.
        offset: What is added to their sum.
    """

    inputs: Inputs = field(repr=False)
    trees: Trees
    offset: float

    @property
    def layers(self) -> LayerTable:
        """The layers it looks at."""
        return self.inputs.layers

    def score(self, data: DetectionData) -> Floats:
        """float64 (images,)."""
        return self.trees.sums(self.inputs.table(data)) + self.offset

    def by_layer(self, data: DetectionData) -> None:
        """None: trees look at several layers at once."""
        return

    def to_arrays(self) -> Arrays:
        """Arrays of the inputs and of the trees."""
        names = ("roots", "feature", "threshold", "children", "value")
        own = {f"tree.{name}": getattr(self.trees, name) for name in names}
        single = {"tree.depth": np.asarray(self.trees.depth), "offset": np.asarray(self.offset)}
        return {**self.inputs.to_arrays(), **own, **single}


def fitted_trees_from(
    layers: LayerTable, values: Values, arrays: Mapping[str, npt.NDArray[Any]]
) -> FittedTrees:
    """The inverse of `FittedTrees.to_arrays`."""
    trees = Trees(
        roots=arrays["tree.roots"],
        feature=arrays["tree.feature"],
        threshold=arrays["tree.threshold"],
        children=arrays["tree.children"],
        value=arrays["tree.value"],
        depth=int(arrays["tree.depth"]),
    )
    return FittedTrees(inputs_from(layers, values, arrays), trees, float(arrays["offset"]))
