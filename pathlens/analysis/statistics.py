"""Exact tests, corrections, effect sizes, bootstrap intervals and permutation nulls."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats, Ints


def phi(both: Any, left: Any, right: Any, images: Any) -> Floats:
    """Phi coefficient of two yes/no properties, which is their Pearson correlation; -1 to 1.

    phi = (n * both - left * right) / sqrt(left (n - left) right (n - right)), and 0 where a property
    is constant. All arguments are counts of images and broadcast.

    Args:
        both: Images that have both properties.
        left: Images that have the first.
        right: Images that have the second.
        images: All images, n.
    """
    both, left, right, n = (np.asarray(x, dtype=np.float64) for x in (both, left, right, images))
    # Square roots are taken factor by factor: the product of four counts may overflow.
    spread = np.sqrt(left * (n - left)) * np.sqrt(right * (n - right))
    return np.asarray((n * both - left * right) / np.where(spread > 0, spread, np.inf))


def fisher_greater(both: Ints, left: Ints, right: Ints, images: int) -> Floats:
    """One-sided Fisher exact test: chance of at least `both` joint images, margins given.

    The number of joint images is hypergeometric if the two properties are independent.

    Args:
        both: int64 (tests,), images that have both properties.
        left: int64 (tests,), images that have the first.
        right: int64 (tests,), images that have the second.
        images: All images.
    """
    from scipy.stats import hypergeom

    if not len(both):
        return np.zeros(0)
    return np.clip(hypergeom.sf(both - 1, images, right, left), 0.0, 1.0)


def holm(p: Floats) -> Floats:
    """P values corrected for their number by Holm's step-down method (Holm 1979).

    The chance of any false claim among all is at most the level, however the tests depend on each
    other.
    """
    order = np.argsort(p, kind="stable")
    stepped = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return corrected


def benjamini_hochberg(p: Floats) -> Floats:
    """P values corrected for the share of false claims (Benjamini & Hochberg 1995).

    The mean share of false claims among the claims made is at most the level if the tests are
    independent, or depend on each other positively (Benjamini & Yekutieli 2001).
    """
    order = np.argsort(p, kind="stable")
    stepped = p[order] * len(p) / np.arange(1, len(p) + 1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0)
    return corrected


def benjamini_yekutieli(p: Floats) -> Floats:
    """As `benjamini_hochberg`, however the tests depend on each other (2001).

    Every p is multiplied by 1 + 1/2 + ... + 1/tests as well.
    """
    price = float((1 / np.arange(1, len(p) + 1)).sum())
    return np.asarray(np.minimum(benjamini_hochberg(p) * price, 1.0))


def resampled_cells(cells: Ints, resamples: int, rng: np.random.Generator) -> Ints:
    """Counts per cell in bootstrap samples of the images: int64 (resamples, tests, cells).

    Drawing n images with replacement and counting them per cell of a contingency table *is* drawing
    the cells from a multinomial distribution, so that time does not grow with the images.

    Args:
        cells: int64 (tests, cells), observed numbers of images; every row has the same sum, n.
        resamples: Number of bootstrap samples.
        rng: Source of chance.
    """
    images = int(cells[0].sum())
    return rng.multinomial(images, cells / images, size=(resamples, len(cells)))


def percentile_interval(values: Floats, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Percentile bootstrap interval (Efron 1979) along the first axis: lower and upper ends."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail], axis=0)
    return low, high


def label_agreement(
    clusters: Ints, labels: Ints, seed: int, permutations: int
) -> dict[str, tuple[float, Floats]]:
    """AMI and ARI of a clustering with labels, and the same under permuted labels.

    Adjusted mutual information with the arithmetic mean (Vinh, Epps & Bailey 2010) and adjusted Rand
    index (Hubert & Arabie 1985). What they are adjusted by depends on the sizes of clusters and classes
    alone, which a permutation keeps: it is computed once.

    Args:
        clusters: int64 (images,).
        labels: int64 (images,).
        seed: Seed of the permutations.
        permutations: Number of permutations.

    Returns:
        For "AMI" and "ARI" the observed value and float64 (permutations,) under the null.
    """
    rng = np.random.default_rng(seed)
    left = np.unique(clusters, return_inverse=True)[1]
    right = np.unique(labels, return_inverse=True)[1]
    tables = [_contingency(left, right)]
    tables += [_contingency(left, rng.permutation(right)) for _ in range(permutations)]
    stacked = np.stack(tables)
    found = {"AMI": _adjusted_information(stacked), "ARI": _adjusted_rand(stacked)}
    return {name: (float(values[0]), values[1:]) for name, values in found.items()}


def _contingency(left: npt.NDArray[np.intp], right: npt.NDArray[np.intp]) -> Ints:
    width = int(right.max()) + 1
    size = (int(left.max()) + 1) * width
    return np.bincount(left * width + right, minlength=size).reshape(-1, width)


def _adjusted_information(tables: Ints) -> Floats:
    """AMI of tables (tables, clusters, classes) that share their margins."""
    from sklearn.metrics.cluster import expected_mutual_information

    images = int(tables[0].sum())
    rows, columns = tables[0].sum(axis=1), tables[0].sum(axis=0)
    share = tables / images
    by_chance = np.outer(rows, columns) / images**2
    terms = share * np.log(np.where(tables > 0, share, 1) / np.where(tables > 0, by_chance, 1))
    information = terms.sum(axis=(1, 2))
    expected = expected_mutual_information(tables[0], images)
    ceiling = (_entropy(rows / images) + _entropy(columns / images)) / 2
    return _adjusted(information, expected, ceiling)


def _entropy(shares: Floats) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())


def _adjusted_rand(tables: Ints) -> Floats:
    """ARI of tables (tables, clusters, classes) that share their margins."""
    together = _pairs(tables).sum(axis=(1, 2))
    rows = _pairs(tables[0].sum(axis=1)).sum()
    columns = _pairs(tables[0].sum(axis=0)).sum()
    everything = max(_pairs(tables[0].sum()), 1.0)
    return _adjusted(together, rows * columns / everything, (rows + columns) / 2)


def _pairs(counts: Any) -> Any:
    return counts * (counts - 1) / 2


def _adjusted(value: Floats, expected: float, ceiling: float) -> Floats:
    """(value - expected) / (ceiling - expected)."""
    room = ceiling - expected
    if abs(room) < 1e-12:
        # Only where both sides are one group, or each image is alone on both: perfect agreement.
        return np.ones_like(value)
    return np.asarray((value - expected) / room)
