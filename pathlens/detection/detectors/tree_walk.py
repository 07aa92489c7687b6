"""Compiled walks down binary trees; importing it imports numba."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

# So many images go down a tree side by side: the processor waits for the memory of all at once.
_ABREAST = 8


def _leaf_sums(
    table: Any, roots: Any, feature: Any, threshold: Any, children: Any, value: Any, sums: Any
) -> None:
    """Write the sum of the leaves that each image falls into, over all trees.

    Args:
        table: float32 (images, inputs).
        roots: int32 (trees,), node of each root.
        feature: int32 (nodes,), input that a node looks at.
        threshold: float32 (nodes,); where input <= threshold, it goes left.
        children: int32 (nodes, 2), left and right; a leaf's are itself.
        value: float64 (nodes,).
        sums: float64 (images,), what is written.
    """
    sums[:] = 0
    nodes = np.empty(_ABREAST, np.int32)
    for root in roots:
        for start in range(0, len(table), _ABREAST):
            images = min(_ABREAST, len(table) - start)
            nodes[:images] = root
            moving = True
            while moving:
                moving = False
                for place in range(images):
                    node = nodes[place]
                    right = table[start + place, feature[node]] > threshold[node]
                    nodes[place] = children[node, int(right)]
                    moving |= nodes[place] != node
            for place in range(images):
                sums[start + place] += value[nodes[place]]


leaf_sums: Any = numba.njit(nogil=True, cache=True)(_leaf_sums)
