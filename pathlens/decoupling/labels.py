"""Arrays of labels, one for each element of a value: their shapes, and how a reshape moves them.

A dimension along which all labels are equal is kept at size 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pathlens.decoupling.observe import Value

Labels = NDArray[np.int64]

ALIVE, DEAD = 0, 1
"""Labels of elements that no gate switches: always alive, and always zero."""


def alive(value: Value) -> Labels:
    """The labels of a value that hangs on no gate."""
    return np.zeros([1] * len(value.shape), dtype=np.int64)


def fits(labels: Labels, made: Value) -> bool:
    """Whether labels have the shape of a value, 1 where all are equal; else they mean nothing."""
    return len(labels.shape) == len(made.shape) and all(
        size in (1, whole) for size, whole in zip(labels.shape, made.shape, strict=True)
    )


def rank(labels: Labels, made: Value) -> Labels:
    """Put dimensions of size 1 in front, as broadcasting does."""
    return labels.reshape([1] * (len(made.shape) - labels.ndim) + list(labels.shape))


def widen(labels: Labels, dim: int, size: int, others: list[int] | None = None) -> Labels:
    """Write out the labels along `dim`, and along the other dimensions as far as they ask."""
    shape = list(others or labels.shape)
    shape[dim] = size
    return np.broadcast_to(labels, shape)


def reshape(labels: Labels, old: tuple[int, ...], new: tuple[int, ...]) -> Labels | None:
    """Labels after a reshape; dimensions that it does not take part in stay at size 1."""
    if 0 in old:
        return None
    kept = [dim for dim, size in enumerate(old) if size > 1]
    labels = labels.reshape([labels.shape[dim] for dim in kept])
    before, after = [old[dim] for dim in kept], [size for size in new if size > 1]
    wide: list[int] = []
    target: list[int] = []
    while before[len(wide) :]:
        taken, given = _group(before[len(wide) :], after[len(target) :])
        part = slice(len(wide), len(wide) + taken)
        equal = all(size == 1 for size in labels.shape[part])
        wide += [1] * taken if equal else before[part]
        target += [1] * given if equal else after[len(target) : len(target) + given]
    sizes = iter(target)
    shape = [next(sizes) if size > 1 else 1 for size in new]
    return np.broadcast_to(labels, wide).reshape(shape)


def _group(before: list[int], after: list[int]) -> tuple[int, int]:
    """How many leading dimensions of each side hold the same number of elements; the fewest."""
    taken = given = 1
    while math.prod(before[:taken]) != math.prod(after[:given]):
        if math.prod(before[:taken]) < math.prod(after[:given]):
            taken += 1
        else:
            given += 1
    return taken, given
