"""What a linear classifier knows of images it was not fitted to: the q of information bounds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats, Ints

# Inverse strength of the L2 penalty on weights of standardised features, chosen once on a recording of
# CIFAR-10: best of 1, 0.1, 0.01, 0.001 for layers of 16 to 64 filters; 672 filters want a tenth of it.
STRENGTH = 0.1
STRENGTH_UP_TO = 64
_MOST_STEPS = 200


@dataclass(frozen=True)
class HeldOut:
    """Predictions for images by a classifier that was fitted to others.

    Attributes:
        log2: float64 (images,), log2 of the probability given to the image's own class.
        correct: bool (images,), whether the most probable class is its own.
    """

    log2: Floats
    correct: npt.NDArray[np.bool_]


def fold_of(labels: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """Part of each image, 0 to folds - 1: equal in size and, as far as it goes, for each class."""
    order = rng.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    parts = np.empty(len(labels), dtype=np.int64)
    parts[by_class] = np.arange(len(labels)) % folds
    return parts


def held_out(features: npt.NDArray[np.generic], labels: Ints, parts: Ints, classes: int) -> HeldOut:
    """Multinomial logistic regression on standardised features, cross-fitted.

    C = 0.1 for up to 64 features and less in proportion for more (0.1 * 64 / features). A share of
    1 / (images fitted to) of the probability is spread evenly over all classes, so that no class is
    impossible. One BLAS thread, so that the result does not depend on their number.

    Args:
        features: (images, features), numbers or yes/no.
        labels: int64 (images,), from 0 to classes - 1.
        parts: int64 (images,), each part is predicted by a classifier fitted to the others.
        classes: Number of classes, at least 2.
    """
    from threadpoolctl import threadpool_limits

    log2 = np.empty(len(labels))
    correct = np.empty(len(labels), dtype=np.bool_)
    with threadpool_limits(1):
        for part in np.unique(parts):
            test = parts == part
            probability = _fit_and_predict(features[~test], labels[~test], features[test], classes)
            own = probability[np.arange(len(probability)), labels[test]]
            log2[test] = np.log2(own)
            correct[test] = probability.argmax(axis=1) == labels[test]
    return HeldOut(log2, correct)


def _fit_and_predict(
    known: npt.NDArray[np.generic], labels: Ints, asked: npt.NDArray[np.generic], classes: int
) -> Floats:
    """Probabilities of all classes for the images asked about: float64 (asked, classes)."""
    present = np.unique(labels)
    even = 1 / max(len(labels), 1)
    probability = np.full((len(asked), classes), even / classes)
    if len(present) == 1 or not known.shape[1]:
        shares = np.bincount(labels, minlength=classes) / max(len(labels), 1)
        return probability + (1 - even) * shares
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    # float32 halves the time and changes no digit that is shown.
    left, right = known.astype(np.float32), asked.astype(np.float32)
    mean, spread = left.mean(axis=0), left.std(axis=0)
    spread[spread < 1e-12] = 1
    strength = STRENGTH * min(1.0, STRENGTH_UP_TO / known.shape[1])
    model = LogisticRegression(C=strength, max_iter=_MOST_STEPS)
    with warnings.catch_warnings():
        # A bound holds for any classifier, also for one that has not quite converged.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((left - mean) / spread, labels)
    found = model.predict_proba((right - mean) / spread).astype(np.float64)
    probability[:, present] += (1 - even) * found / found.sum(axis=1, keepdims=True)
    return probability
