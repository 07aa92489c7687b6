"""Two rates held against each other: of two groups of images, or of the same images twice."""

from __future__ import annotations

from typing import Any

import numpy as np

from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.analysis.statistics import fisher_greater

_QUANTILE = 1.959963984540054  # of the normal distribution, at 97.5 %
_CHUNK = 16_384


def tally(bits: Bits, member: Bits) -> Ints:
    """Members of each group that have each gate on: int64 (groups, filters).

    The sums go by chunks of images, so that no large table of numbers is built.

    Args:
        bits: bool (images, filters).
        member: bool (groups, images); groups may overlap.
    """
    total = np.zeros((len(member), bits.shape[1]), dtype=np.int64)
    for start in range(0, len(bits), _CHUNK):
        part = slice(start, start + _CHUNK)
        # Whole numbers below 2^24 are exact in float32.
        product = member[:, part].astype(np.float32) @ bits[part].astype(np.float32)
        total += product.astype(np.int64)
    return total


def fisher_two_sided(on: Ints, inside: Ints, both: Ints, images: int) -> Floats:
    """Fisher's exact test of two rates: twice the smaller of its two tails, at most 1.

    Doubling is exact in that false alarms are never more frequent than the level; unlike the sum
    of all equally unlikely tables it is fast for any number of images.

    Args:
        on: int64 (tests,), images that have the gate on.
        inside: int64 (tests,), images of the first group.
        both: int64 (tests,), images of the first group that have the gate on.
        images: Images of both groups.
    """
    more = fisher_greater(both, on, inside, images)
    fewer = fisher_greater(on - both, on, images - inside, images)
    return np.asarray(np.minimum(2 * np.minimum(more, fewer), 1.0))


def mcnemar_exact(only_first: Ints, only_second: Ints) -> Floats:
    """Exact McNemar test of paired rates: twice the smaller binomial tail, at most 1.

    Only images that changed say which way the rate went; without change, both ways are equally
    likely (McNemar 1947; exact form as in Fagerland, Lydersen & Laake 2013).

    Args:
        only_first: int64 (tests,), images with the gate on the first time only.
        only_second: int64 (tests,), images with the gate on the second time only.
    """
    from scipy.stats import binom

    changed = only_first + only_second
    smaller = binom.cdf(np.minimum(only_first, only_second), changed, 0.5)
    return np.asarray(np.minimum(2 * smaller, 1.0))


def difference_interval(on_a: Any, n_a: Any, on_b: Any, n_b: Any) -> tuple[Floats, Floats]:
    """95 % interval of rate A - rate B in two groups: method 10 of Newcombe (1998).

    It is built from Wilson's intervals of the two rates and stays within -1 to 1.

    Args:
        on_a: Images of group A with the gate on.
        n_a: Images of group A, at least 1.
        on_b: Images of group B with the gate on.
        n_b: Images of group B, at least 1.
    """
    rate_a, rate_b = np.asarray(on_a) / n_a, np.asarray(on_b) / n_b
    low_a, high_a = wilson_interval(on_a, n_a)
    low_b, high_b = wilson_interval(on_b, n_b)
    difference = rate_a - rate_b
    below = np.sqrt((rate_a - low_a) ** 2 + (high_b - rate_b) ** 2)
    above = np.sqrt((high_a - rate_a) ** 2 + (rate_b - low_b) ** 2)
    return difference - below, difference + above


def wilson_interval(on: Any, images: Any) -> tuple[Floats, Floats]:
    """95 % score interval of a rate (Wilson 1927).

    Args:
        on: Images with the gate on.
        images: All images, at least 1.
    """
    on, n = np.asarray(on, dtype=np.float64), np.asarray(images, dtype=np.float64)
    square = _QUANTILE**2
    centre = (on + square / 2) / (n + square)
    half = _QUANTILE * np.sqrt(on * (n - on) / n + square / 4) / (n + square)
    return centre - half, centre + half


def paired_interval(only_first: Ints, only_second: Ints, images: int) -> tuple[Floats, Floats]:
    """95 % interval of (second rate - first rate) over the same images (Bonett & Price 2012).

    Wald's interval after one image was added to either way to change.

    Args:
        only_first: int64 (tests,), images with the gate on the first time only.
        only_second: int64 (tests,), images with the gate on the second time only.
        images: All images, at least 1.
    """
    lost, won = (only_first + 1) / (images + 2), (only_second + 1) / (images + 2)
    half = _QUANTILE * np.sqrt((lost + won - (won - lost) ** 2) / (images + 2))
    centre = won - lost
    return np.maximum(centre - half, -1.0), np.minimum(centre + half, 1.0)


def odds_ratio(on_a: Any, n_a: Any, on_b: Any, n_b: Any) -> Floats:
    """Odds of the gate in group A over those in group B, finite for empty cells too.

    Half an image is added to each of the four cells (Haldane 1956; Anscombe 1956).

    Args:
        on_a: Images of group A with the gate on.
        n_a: Images of group A.
        on_b: Images of group B with the gate on.
        n_b: Images of group B.
    """
    on_a, n_a, on_b, n_b = (np.asarray(x, dtype=np.float64) for x in (on_a, n_a, on_b, n_b))
    return np.asarray((on_a + 0.5) * (n_b - on_b + 0.5) / ((n_a - on_a + 0.5) * (on_b + 0.5)))
