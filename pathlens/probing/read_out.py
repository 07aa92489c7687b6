"""Reading a concept from a network's penultimate features by a fitted linear read-out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pathlens.analysis.source import Bits, Floats, Ints

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of C, the inverse strength of the L2 penalty on weights of standardised features."""
FOLDS = 5

_MOST_STEPS = 500


@dataclass(frozen=True)
class ReadOut:
    """A logistic regression from features to a concept.

    Attributes:
        weights: float64 (features,), for the features as they come, in log odds.
        intercept: Log odds where all features are 0.
        strength: C, chosen by cross-validation.
        images: Number of images it was fitted on.
    """

    weights: Floats = field(repr=False)
    intercept: float
    strength: float
    images: int

    def log_odds(self, features: Floats) -> Floats:
        """Log odds of the concept, float64 (images,), from features (images, features)."""
        return np.asarray(features @ self.weights + self.intercept)


def fit_read_out(features: Floats, has: Bits, groups: Ints, seed: int = 0) -> ReadOut:
    """Fit an L2-regularised logistic regression on standardised features.

    C is the one of `STRENGTHS` with the smallest log loss, the loss that makes log odds mean
    something, in a cross-validation that keeps the images of a group in one fold; among equal ones
    the smallest. One BLAS thread, so that the result does not depend on their number.

    Args:
        features: (images, features).
        has: bool (images,), which of them have the concept: some, not all.
        groups: int64 (images,), group of each image; each its own where they stand alone.
        seed: Deals the groups to folds.
    """
    from threadpoolctl import threadpool_limits

    mean, spread = features.mean(axis=0), features.std(axis=0)
    # What never changes says nothing, and after an ablation must not either.
    scale = np.where(spread > 1e-9, 1 / np.where(spread > 1e-9, spread, 1), 0)
    standard = (features - mean) * scale
    with threadpool_limits(1):
        strength = _strength(standard, has, groups, np.random.default_rng(seed))
        weights, intercept = _fit(standard, has, strength)
    own = weights * scale
    return ReadOut(own, intercept - float(mean @ own), strength, len(has))


def auroc(scores: Floats, has: Bits) -> float:
    """Chance that an image with the concept scores higher than one without it, ties counting half.

    The area under the receiver operating characteristic (Hanley & McNeil 1982).

    Args:
        scores: (images,), finite.
        has: bool (images,); NaN comes back where all images have the concept, or none.
    """
    from scipy.stats import rankdata

    inside = int(has.sum())
    if inside in (0, len(has)):
        return float("nan")
    below = rankdata(scores)[has].sum() - inside * (inside + 1) / 2
    return float(below / (inside * (len(has) - inside)))


def _strength(standard: Floats, has: Bits, groups: Ints, rng: np.random.Generator) -> float:
    folds = list(_folds(has, groups, rng))
    if not folds:  # all images with the concept, or without it, are of one group
        return min(STRENGTHS)
    losses = [sum(_loss(standard, has, test, x) for test in folds) for x in STRENGTHS]
    return STRENGTHS[int(np.argmin(np.round(losses, 9)))]


def _folds(has: Bits, groups: Ints, rng: np.random.Generator) -> Iterator[Bits]:
    """Which images are tested, fold by fold; others hold images with the concept and without it."""
    from sklearn.model_selection import StratifiedGroupKFold

    most = min(FOLDS, *(len(np.unique(groups[has == side])) for side in (True, False)))
    if most < 2:
        return
    splitter = StratifiedGroupKFold(most, shuffle=True, random_state=int(rng.integers(1 << 31)))
    for train, test in splitter.split(has, has, groups):
        if len(np.unique(has[train])) == 2:
            inside = np.zeros(len(has), dtype=np.bool_)
            inside[test] = True
            yield inside


def _loss(standard: Floats, has: Bits, test: Bits, strength: float) -> float:
    """Summed log loss of the tested images, in nats."""
    weights, intercept = _fit(standard[~test], has[~test], strength)
    towards = np.where(has[test], 1, -1) * (standard[test] @ weights + intercept)
    return float(np.logaddexp(0, -towards).sum())


def _fit(standard: Floats, has: Bits, strength: float) -> tuple[Floats, float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=_MOST_STEPS)
    with warnings.catch_warnings():
        # Not quite converged reads as well; cross-validation has the last word.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(standard, has)
    return np.asarray(model.coef_[0], dtype=np.float64), float(model.intercept_[0])
