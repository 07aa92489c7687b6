"""Trees as plain arrays: what scikit-learn fits, kept without pickle.

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
from pathlens.detection.detectors.inputs import Inputs, inputs_from
from pathlens.detection.detectors.values import Values
from pathlens.layers import LayerTable

Indices = npt.NDArray[np.int32]


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

    What is looked up is kept in 4 bytes: scoring takes as long as memory does.

    Attributes:
        roots: int32 (trees,), node of each root.
        feature: int32 (nodes,), as `Tree` has it; a leaf looks at input 0 and goes to itself.
        threshold: float32 (nodes,).
        children: int32 (nodes, 2), left and right.
        value: float64 (nodes,).
    """

    roots: Indices
    feature: Indices = field(repr=False)
    threshold: npt.NDArray[np.float32] = field(repr=False)
    children: Indices = field(repr=False)
    value: Floats = field(repr=False)

    def sums(self, table: npt.NDArray[np.float32]) -> Floats:
        """float64 (images,)."""
        from pathlens.detection.detectors.tree_walk import leaf_sums

        found = np.empty(len(table))
        nodes = (self.feature, self.threshold, self.children, self.value)
        leaf_sums(np.ascontiguousarray(table), self.roots, *nodes, found)
        return found


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
        roots=roots.astype(np.int32),
        feature=np.maximum(feature, 0).astype(np.int32),
        threshold=_rounded_down(np.concatenate([tree.threshold for tree in trees])),
        children=np.concatenate(children).astype(np.int32),
        value=np.concatenate([tree.value for tree in trees]),
    )


def _rounded_down(threshold: Floats) -> npt.NDArray[np.float32]:
    """In single precision, so that x <= threshold is the same for every x of single precision."""
    found = threshold.astype(np.float32)
    above = found > threshold
    found[above] = np.nextafter(found[above], np.float32(-np.inf))
    return found


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
        return {**self.inputs.to_arrays(), **own, "offset": np.asarray(self.offset)}


def fitted_trees_from(
    layers: LayerTable, values: Values, arrays: Mapping[str, npt.NDArray[Any]]
) -> FittedTrees:
    """The inverse of `FittedTrees.to_arrays`."""
    trees = Trees(
        # Files of earlier versions have 8 bytes each.
        roots=arrays["tree.roots"].astype(np.int32),
        feature=arrays["tree.feature"].astype(np.int32),
        threshold=_rounded_down(arrays["tree.threshold"]),
        children=arrays["tree.children"].astype(np.int32),
        value=arrays["tree.value"],
    )
    inputs = inputs_from(layers, values, arrays)
    _require_walkable(trees, len(inputs.centres))
    return FittedTrees(inputs, trees, float(arrays["offset"]))


def _require_walkable(trees: Trees, inputs: int) -> None:
    """Compiled walks look nothing up twice: a damaged file must not lead them out of the arrays."""
    nodes = len(trees.feature)
    below = trees.children >= np.arange(nodes)[:, None]
    right = (
        trees.children.shape == (nodes, 2)
        and trees.threshold.shape == trees.value.shape == (nodes,)
        and bool((below & (trees.children < nodes)).all())
        and bool(((trees.feature >= 0) & (trees.feature < inputs)).all())
        and bool(((trees.roots >= 0) & (trees.roots < nodes)).all())
    )
    if not right:
        raise ValueError("nodes of the trees lead nowhere")
