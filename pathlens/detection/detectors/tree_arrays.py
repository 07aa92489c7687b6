"""Trees as plain arrays: what scikit-learn fits, kept without pickle and scored with numpy.

A pickle runs code when it is opened and may not open under another version of the library. Arrays do
neither, and the fitted detector no longer needs scikit-learn. Tests hold the scores against the
library's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats, Ints
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays
from pathlens.detection.detectors.inputs import Inputs, inputs_from
from pathlens.detection.detectors.values import Values
from pathlens.layers import LayerTable

_IMAGES_AT_ONCE = 128
"""As many as the processor's cache holds the paths of."""

_STEPS_AT_ONCE = 4
"""Steps between two looks at which images are in leaves already."""


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
        for start in range(0, len(table), _IMAGES_AT_ONCE):
            block = slice(start, start + _IMAGES_AT_ONCE)
            found[block] = self.value[self._leaves(table[block])].sum(axis=1)
        return found

    def _leaves(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
        """The leaf of each image in each tree, int32 (images, trees)."""
        images, width = table.shape
        flat, walk = np.ascontiguousarray(table).ravel(), self._walk
        found = np.tile(self.roots.astype(np.int32), images)
        places = np.arange(len(found))
        rows = np.repeat(np.arange(images, dtype=np.int64) * width, len(self.roots))
        for _ in range(0, self.depth, _STEPS_AT_ONCE):
            nodes = found[places]
            for _ in range(_STEPS_AT_ONCE):
                values = flat.take(rows + walk.feature.take(nodes))
                nodes = walk.next.take(2 * nodes + (values > walk.threshold.take(nodes)))
            found[places] = nodes
            inner = np.flatnonzero(walk.inner.take(nodes))
            places, rows = places[inner], rows[inner]
        return found.reshape(images, len(self.roots))

    @cached_property
    def _walk(self) -> _Walk:
        threshold = self.threshold.astype(np.float32)
        # Rounded down, as x <= threshold is then the same for every x in single precision.
        above = threshold > self.threshold
        threshold[above] = np.nextafter(threshold[above], np.float32(-np.inf))
        return _Walk(
            feature=self.feature.astype(np.int32),
            threshold=threshold,
            next=self.children.astype(np.int32).ravel(),
            inner=self.children[:, 0] != np.arange(len(self.children)),
        )


@dataclass(frozen=True, eq=False)
class _Walk:
    """What steps through trees look up, in half the bytes: scoring takes as long as memory does.

    Attributes:
        feature: int32 (nodes,).
        threshold: float32 (nodes,).
        next: int32 (2 * nodes,), the left and the right child of each node in turn.
        inner: bool (nodes,), whether a node is no leaf.
    """

    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float32]
    next: npt.NDArray[np.int32]
    inner: npt.NDArray[np.bool_]


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
