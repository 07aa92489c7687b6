"""The Mantel test: whether two tables of distances between the same things go together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pathlens.analysis.source import Floats

_CELLS = 1 << 22


@dataclass(frozen=True)
class Mantel:
    """Correlations of several tables of distances with one other, and their permutation null.

    Attributes:
        correlation: float64 (tables,); not a number where either side is constant.
        p: float64 (tables,), share of permutations that reach the correlation, the observed one
            counted in: (1 + hits) / (1 + permutations).
        null_95: float64 (tables,), 95 % quantile of the correlation under permutation.
    """

    correlation: Floats
    p: Floats
    null_95: Floats = field(repr=False)


def mantel(tables: Floats, other: Floats, permutations: int, seed: int) -> Mantel:
    """Correlate tables of distances with another one, permuting what its rows stand for.

    Pearson's correlation over pairs, one-sided (greater), after Mantel (1967): the pairs are not
    independent, but under the null hypothesis the names of rows and columns of one table can be
    permuted together. Give ranks for Spearman's correlation. All tables meet the same permutations.

    Args:
        tables: float64 (tables, pairs), in the order of scipy's `squareform`.
        other: float64 (pairs,).
        permutations: Number of permutations.
        seed: Seed of the permutations.
    """
    from scipy.spatial.distance import squareform

    left, right = _standardised(tables), _standardised(other)
    observed = left @ right
    square = squareform(right, checks=False)
    first, second = np.triu_indices(len(square), 1)
    rng = np.random.default_rng(seed)
    null = np.empty((permutations, len(tables)))
    batch = max(1, _CELLS // len(right))
    for start in range(0, permutations, batch):
        count = min(batch, permutations - start)
        deals = rng.permuted(np.tile(np.arange(len(square)), (count, 1)), axis=1)
        null[start : start + count] = square[deals[:, first], deals[:, second]] @ left.T
    # Equal correlations differ in their last digits, by the order in which they were summed.
    hits = (null >= observed - 1e-12).sum(axis=0)
    known = np.isfinite(observed)
    p = np.where(known, (1 + hits) / (1 + permutations), np.nan)
    return Mantel(observed, p, np.quantile(null, 0.95, axis=0))


def pearson(left: Floats, right: Floats) -> float:
    """Pearson's correlation of two rows of numbers; not a number where one is constant."""
    return float(_standardised(left) @ _standardised(right))


def ranks(values: Floats) -> Floats:
    """Ranks along the last axis, ties get their mean: what Spearman's correlation correlates."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values, axis=-1))


def _standardised(values: Floats) -> Floats:
    """Centred and of length 1 along the last axis; not a number where constant."""
    centred = values - values.mean(axis=-1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=-1, keepdims=True))
    constant = length <= 1e-12 * np.maximum(1, np.abs(values).max(axis=-1, keepdims=True))
    return np.asarray(centred / np.where(constant, np.nan, length))
