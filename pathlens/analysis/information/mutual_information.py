"""Mutual information of one gate and a class: estimate, bias correction, permutation null."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from pathlens.analysis.source import Floats, Ints

_FEW_EXCEED = 10


def entropy_bits(counts: Ints) -> float:
    """Entropy in bits of the shares that go with counts."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def gate_information(on: Iterable[Ints], total: Ints, sizes: Ints) -> tuple[Floats, Floats]:
    """Mutual information of a gate and the class in bits, and its Miller-Madow correction.

    I = H(class) + H(gate) - H(class, gate). Each plug-in entropy is too low by about (occupied cells
    - 1) / (2 n) nats (Miller 1955), which makes I too high: the correction is to be added. Both are 0
    for a gate that is constant.

    Args:
        on: Images with the gate on, int64 (...), class after class.
        total: int64 (...), the same over all classes.
        sizes: int64 (classes,), images of each class.

    Returns:
        The plug-in estimate and the correction: float64 (...).
    """
    images = int(sizes.sum())
    inside, cells = np.zeros(total.shape), np.zeros(total.shape)
    for count, size in zip(on, sizes, strict=True):
        for cell in (count, size - count):
            inside += _times_log(cell)
            cells += cell > 0
    margins = _times_log(total) + _times_log(images - total) + _times_log(sizes).sum()
    found = (inside - margins + images * np.log2(images)) / images
    present = int((sizes > 0).sum())
    correction = (2 + present - cells - 1) / (2 * images * np.log(2))
    dynamic = (total > 0) & (total < images)
    return np.where(dynamic, np.maximum(found, 0.0), 0.0), np.where(dynamic, correction, 0.0)


def _times_log(counts: Ints) -> Floats:
    return np.asarray(counts * np.log2(np.maximum(counts, 1)))


def permuted_counts(total: Ints, sizes: Ints, rng: np.random.Generator) -> Iterator[Ints]:
    """Images with the gate on under permuted labels, class after class: int64, shaped like `total`.

    Given the margins these counts are multivariate hypergeometric; they are drawn class by class from
    what is left, so that time does not grow with the images.

    Args:
        total: int64 (...), images with the gate on.
        sizes: int64 (classes,), images of each class.
        rng: Source of chance.
    """
    left, remaining = total, int(sizes.sum())
    for size in sizes:
        remaining -= int(size)
        drawn = rng.hypergeometric(size, remaining, left) if remaining else left
        yield drawn
        left = left - drawn


def permutation_p(value: Floats, null: Floats) -> Floats:
    """One-sided p values of plug-in informations, under those of permuted labels.

    The share of permutations that reach the value, the observed one counted in. Where fewer than 10 do,
    that share is too coarse to be corrected for many filters, and the tail of the gamma distribution
    with the mean and variance of the permuted values is taken (the idea of Knijnenburg et al. 2009;
    2 n ln 2 times the plug-in information is asymptotically chi-squared, which is a gamma).

    Args:
        value: float64 (filters,).
        null: float64 (permutations, filters).

    Returns:
        float64 (filters,).
    """
    from scipy.stats import gamma

    reached = (null >= value - 1e-12).sum(axis=0)
    share = (1 + reached) / (1 + len(null))
    mean, variance = null.mean(axis=0), null.var(axis=0)
    usable = (reached < _FEW_EXCEED) & (variance > 1e-18)
    scale = np.where(usable, variance / np.where(usable, mean, 1.0), 1.0)
    fitted = gamma.sf(value, np.where(usable, mean / scale, 1.0), scale=scale)
    return np.where(usable, fitted, share)
