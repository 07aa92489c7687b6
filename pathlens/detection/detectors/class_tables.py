"""One row of statistics a class, drawn towards the overall one where a class has few images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats, Ints
from pathlens.layers import LayerTable

_ROWS_AT_ONCE = 1024
"""Few rows at a time stay in the cache, and memory stays that of the bits."""


def class_sums(values: npt.NDArray[Any], predicted: Ints, classes: int) -> tuple[Floats, Ints]:
    """Sums and numbers of images by class.

    Args:
        values: (images, values).
        predicted: int64 (images,), below `classes`.
        classes: Number of classes.

    Returns:
        float64 (classes, values), and int64 (classes,).
    """
    sums = np.zeros((classes, values.shape[1]))
    for one in np.unique(predicted):
        sums[one] = values[predicted == one].sum(axis=0, dtype=np.float64)
    return sums, np.bincount(predicted, minlength=classes).astype(np.int64)


def shrunk(sums: Floats, sizes: Ints, overall: Floats, prior: float) -> Floats:
    """Means by class, as if each had `prior` more images that look like all: (classes + 1, values).

    The posterior mean of a normal or beta prior with the weight of `prior` images. The last row is
    `overall`, which stands for classes that fitting has not seen.
    """
    means = (sums + prior * overall) / (sizes[:, None] + prior)
    return np.vstack([means, overall])


def class_means(values: npt.NDArray[Any], predicted: Ints, classes: int, prior: float) -> Floats:
    """Shrunk means by class, float64 (classes + 1, values); the last row is the overall mean."""
    sums, sizes = class_sums(values, predicted, classes)
    return shrunk(sums, sizes, sums.sum(axis=0) / max(int(sizes.sum()), 1), prior)


def class_rates(bits: npt.NDArray[np.bool_], predicted: Ints, classes: int, prior: float) -> Floats:
    """Shrunk gate rates by class, float64 (classes + 1, filters), strictly between 0 and 1.

    The overall rate is Laplace-smoothed, (on + 1) / (images + 2), so that a filter that was never seen
    to flip is surprising when it does, but finitely so.
    """
    sums, sizes = class_sums(bits, predicted, classes)
    overall = (sums.sum(axis=0) + 1) / (int(sizes.sum()) + 2)
    return shrunk(sums, sizes, overall, prior)


def layer_starts(layers: LayerTable) -> Ints:
    """Position of the first filter of every layer in a path."""
    return np.cumsum([0] + [layer.filters for layer in layers])[:-1]


def slices(layers: LayerTable) -> list[slice]:
    """Where in a path each layer's filters are."""
    ends = np.cumsum([0] + [layer.filters for layer in layers])
    return [slice(int(a), int(b)) for a, b in pairwise(ends)]


def row_blocks(rows: int) -> Iterator[slice]:
    """Few rows at a time."""
    for start in range(0, rows, _ROWS_AT_ONCE):
        yield slice(start, min(start + _ROWS_AT_ONCE, rows))


def sums_by_layer(
    terms: Callable[[slice], npt.NDArray[np.float32]], rows: int, starts: Ints
) -> Floats:
    """Add up terms of single filters within each layer, few images at a time.

    Args:
        terms: Gives the terms of some rows, float32 (rows, filters).
        rows: Number of images.
        starts: First filter of every layer.

    Returns:
        float64 (images, layers).
    """
    found = np.empty((rows, len(starts)))
    for block in row_blocks(rows):
        found[block] = np.add.reduceat(terms(block), starts, axis=1)
    return found


def sums_of_blocks(
    terms: Sequence[Callable[[slice], npt.NDArray[np.float32]]], rows: int
) -> Floats:
    """As `sums_by_layer` with one function a layer, each giving float32 (rows, its terms)."""
    found = np.empty((rows, len(terms)))
    for block in row_blocks(rows):
        for place, layer_terms in enumerate(terms):
            found[block, place] = layer_terms(block).sum(axis=1)
    return found
