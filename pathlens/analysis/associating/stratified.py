"""Exact inference for an association within classes: the conditional test and odds ratio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pathlens.analysis.source import Floats, Ints

_TAIL = 0.025
_FARTHEST = 60.0  # of a log odds ratio


@dataclass(frozen=True)
class WithinClass:
    """What classes do not explain of an association.

    Attributes:
        p: One-sided exact conditional p that the common odds ratio within classes is above 1.
        smallest: The smallest p that these margins allow.
        odds_ratio: Common odds ratio that makes the observed number of joint images most likely; NaN
            where no class informs about it.
        low: Lower end of its exact conditional 95 % interval, 0 at least.
        high: Upper end, may be infinite.
    """

    p: float
    smallest: float
    odds_ratio: float
    low: float
    high: float


def within_class(tables: Ints) -> WithinClass:
    """Exact conditional inference about the common odds ratio of several 2 x 2 tables.

    Given all margins, the joint images of a class are hypergeometric, and their sum over classes has
    as distribution the convolution over classes; with a common odds ratio r every value s of the sum
    weighs r ** s times as much (Gart 1970; interval of Mehta, Patel & Gray 1985).

    Args:
        tables: int64 (classes, 4), images with both properties, with the first alone, with the second
            alone, with neither.
    """
    inform = _informative(tables)
    if not len(inform):
        return WithinClass(1.0, 1.0, float("nan"), 0.0, float("inf"))
    observed, central = _sum_distribution(inform, 0.0)
    # Near the odds ratio that was observed, the chances that matter are not lost to rounding.
    tilt = float(np.clip(np.log(max(_mantel_haenszel(inform), 1e-9)), -20, 20))
    tilted = _sum_distribution(inform, tilt)[1]
    with np.errstate(divide="ignore"):
        weights = np.log(tilted)
    ratio, low, high = _solved(weights, observed, tilt)
    p = float(min(central[observed:].sum(), 1.0))
    return WithinClass(p, float(central[-1]), ratio, low, high)


def _informative(tables: Ints) -> Ints:
    """Classes in which neither property is constant; the others say nothing within a class."""
    on, has, images = tables[:, :2].sum(axis=1), tables[:, ::2].sum(axis=1), tables.sum(axis=1)
    varies = (on > 0) & (on < images) & (has > 0) & (has < images)
    return np.asarray(tables[varies])


def _mantel_haenszel(tables: Ints) -> float:
    """Estimate of the common odds ratio without iteration (Mantel & Haenszel 1959)."""
    both, first, second, neither = tables.T.astype(np.float64)
    images = tables.sum(axis=1)
    over, under = (both * neither / images).sum(), (first * second / images).sum()
    return float(over / under) if under > 0 else float("inf")


def _sum_distribution(tables: Ints, tilt: float) -> tuple[int, Floats]:
    """Place of the observed sum, and the distribution of the sum for a log odds ratio `tilt`."""
    chances, lowest = np.ones(1), 0
    for both, first, second, neither in tables.tolist():
        on, has, images = both + first, both + second, both + first + second + neither
        least = max(0, on + has - images)
        chances = np.convolve(chances, _hypergeometric(least, on, has, images, tilt))
        lowest += least
    return int(tables[:, 0].sum()) - lowest, chances


def _hypergeometric(least: int, on: int, has: int, images: int, tilt: float) -> Floats:
    """Chances of every number of joint images of one class, for a log odds ratio."""
    from scipy.special import gammaln

    joint = np.arange(least, min(on, has) + 1)
    cells = np.stack([joint, on - joint, has - joint, images - on - has + joint])
    logs = tilt * joint - gammaln(cells + 1.0).sum(axis=0)
    chances = np.exp(logs - logs.max())
    return np.asarray(chances / chances.sum())


def _solved(weights: Floats, observed: int, tilt: float) -> tuple[float, float, float]:
    """Odds ratio that makes the sum most likely, and the ends of its exact interval.

    Args:
        weights: Logs of the chances of every sum at the log odds ratio `tilt`.
        observed: Place of the observed sum.
        tilt: Log odds ratio.
    """
    from scipy.optimize import brentq

    places = np.arange(len(weights)) - observed

    def chances(log_odds: float) -> Floats:
        logs = weights + (log_odds - tilt) * places
        shares = np.exp(logs - logs.max())
        return np.asarray(shares / shares.sum())

    def root(rising: Callable[[float], float]) -> float:
        if rising(-_FARTHEST) >= 0:
            return 0.0
        if rising(_FARTHEST) <= 0:
            return float("inf")
        return float(np.exp(brentq(rising, -_FARTHEST, _FARTHEST, xtol=1e-9)))

    ratio = root(lambda x: float(chances(x) @ places))
    low = root(lambda x: float(chances(x)[observed:].sum()) - _TAIL)
    high = root(lambda x: _TAIL - float(chances(x)[: observed + 1].sum()))
    return ratio, low, high
