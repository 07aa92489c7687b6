"""Information of a layer's gates about the class: a cross-fitted lower bound, in bits.

I(class; gates) >= H(class) - cross-entropy of any classifier on images it was not fitted to (Barber &
Agakov, 2003). A plug-in estimate would saturate: most paths are unique.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def information(bits: Any, labels: Any, *, folds: int = 5, seed: int = 0) -> tuple[float, float]:
    """The bound from all gates of a layer, and from the number of gates that are on alone.

    Args:
        bits: bool (images, filters).
        labels: int (images,).
        folds: Parts; each is predicted by a classifier fitted to the others.
        seed: Divides the images.

    Returns:
        Two bounds in bits, at least 0 (a bound below 0 says nothing).
    """
    rates = np.unique(labels, return_counts=True)[1] / len(labels)
    entropy = -(rates * np.log2(rates)).sum()
    count = bits.sum(axis=1, keepdims=True)
    return tuple(max(0.0, entropy - _cross_entropy(x, labels, folds, seed)) for x in (bits, count))


def _cross_entropy(features: Any, labels: Any, folds: int, seed: int) -> float:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    found = cross_val_predict(
        model, features.astype(float), labels, cv=parts, method="predict_proba"
    )
    classes = np.unique(labels)
    own = found[np.arange(len(labels)), np.searchsorted(classes, labels)]
    return float(-np.log2(np.clip(own, 1e-12, 1)).mean())
