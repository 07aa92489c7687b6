"""A linear probe of few filters: what as many filters say when they may be weighed freely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.analysis.statistics import phi

_STEPS = 25
_CHUNK = 16_384
_RIDGE = 1e-3  # keeps weights finite where filters separate the concept perfectly


@dataclass(frozen=True)
class SparseProbe:
    """A logistic regression on few filters.

    Attributes:
        filters: int64 (chosen,), in the order in which they were chosen.
        weights: float64 (chosen + 1,), the intercept last.
        bar: Log odds from which on an image is said to have the concept.
    """

    filters: Ints
    weights: Floats
    bar: float

    def on(self, bits: Bits) -> Bits:
        """Images that the probe says have the concept: bool (images,).

        Args:
            bits: bool (images, filters), gates of the whole layer.
        """
        return np.asarray(_log_odds_of(bits[:, self.filters], self.weights) >= self.bar)


def sparse_probes(bits: Bits, has: Bits, most: int) -> list[SparseProbe]:
    """Probes of 1, 2, ... `most` filters, chosen by forward selection.

    The next filter is the one that, at right angles to those chosen, goes best with what they leave
    unexplained (orthogonal matching pursuit with a logistic link; k-sparse probing of Gurnee et al.
    2023, arXiv 2305.01610). A filter that is a function of those chosen is never taken. The bar of a
    probe is the one with the highest phi on the same images, so that it is as strong as can be.

    Args:
        bits: bool (images, filters), gates of the layer on discovery images.
        has: bool (images,), the images have the concept.
        most: Filters of the largest probe; there are fewer probes where filters run out.
    """
    total = bits.sum(axis=0, dtype=np.int64)
    spread = total - total**2 / len(bits)
    chosen: list[int] = []
    probes: list[SparseProbe] = []
    weights = np.array([_log_odds(has)])
    for _ in range(most):
        design = np.column_stack([bits[:, chosen], np.ones(len(bits), dtype=np.bool_)])
        rest = has - 1 / (1 + np.exp(-(design @ weights)))
        best = _next_filter(bits, total, spread, design, rest)
        if best is None:
            break
        chosen.append(best)
        weights = _fit(bits[:, chosen], has)
        bar = _best_bar(_log_odds_of(bits[:, chosen], weights), has)
        probes.append(SparseProbe(np.array(chosen, dtype=np.int64), weights, bar))
    return probes


def _log_odds_of(bits: Bits, weights: Floats) -> Floats:
    # Rounded, so that equal rows stay equal whatever the order of the sums.
    return np.asarray(np.round(bits @ weights[:-1] + weights[-1], 9))


def _best_bar(scores: Floats, has: Bits) -> float:
    """The score from which on images are taken, such that phi is highest."""
    levels, place = np.unique(scores, return_inverse=True)
    on = np.bincount(place)[::-1].cumsum()[::-1]
    both = np.bincount(place, weights=has)[::-1].cumsum()[::-1]
    return float(levels[int(np.argmax(phi(both, on, int(has.sum()), len(has))))])


def _log_odds(has: Bits) -> float:
    share = (has.sum() + 0.5) / (len(has) + 1)
    return float(np.log(share / (1 - share)))


def _next_filter(bits: Bits, total: Ints, spread: Floats, design: Bits, rest: Floats) -> int | None:
    """Filter whose part at right angles to the design correlates best with the rest."""
    basis = np.linalg.qr(design.astype(np.float64))[0].T
    products = _products(np.vstack([basis, rest - (basis @ rest) @ basis]), bits)
    left = total - (products[:-1] ** 2).sum(axis=0)
    strength = np.abs(products[-1]) / np.sqrt(np.maximum(left, 1e-9))
    strength[left <= 1e-3 * np.maximum(spread, 1.0)] = -1
    best = int(np.argmax(strength))
    return best if strength[best] > 0 else None


def _products(rows: Floats, bits: Bits) -> Floats:
    """Sums of each row over the images with each filter on: float64 (rows, filters)."""
    total = np.zeros((len(rows), bits.shape[1]))
    for start in range(0, len(bits), _CHUNK):
        part = slice(start, start + _CHUNK)
        # By chunks, as numbers take four times the memory of bits.
        total += rows[:, part].astype(np.float32) @ bits[part].astype(np.float32)
    return total


def _fit(bits: Bits, has: Bits) -> Floats:
    """Logistic regression by Newton's method on the few different rows: weights, intercept last."""
    code = bits @ (1 << np.arange(bits.shape[1]))
    count = np.bincount(code, minlength=2 ** bits.shape[1]).astype(np.float64)
    positive = np.bincount(code, weights=has, minlength=len(count))
    rows = (np.arange(len(count))[:, None] >> np.arange(bits.shape[1])) & 1
    design = np.column_stack([rows, np.ones(len(rows))]).astype(np.float64)
    weights = np.zeros(design.shape[1])
    weights[-1] = _log_odds(has)
    penalty = _RIDGE * np.eye(len(weights))
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-(design @ weights)))
        slope = design.T @ (positive - count * chance) - penalty @ weights
        curve = (design * (count * chance * (1 - chance))[:, None]).T @ design + penalty
        step = np.linalg.solve(curve, slope)
        weights = weights + np.clip(step, -3, 3)
        if np.abs(step).max() < 1e-8:
            break
    return weights
