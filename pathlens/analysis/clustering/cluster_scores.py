"""How well clusters agree with classes, beside permuted labels."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pathlens.analysis.source import Floats, Ints
from pathlens.analysis.statistics import label_agreement

SCORES = ("code", "measure", "value", "null_mean", "null_95", "p", "clusters", "noise")


def agreement_rows(
    code: str, clusters: Ints, labels: Ints, seed: int, permutations: int
) -> pd.DataFrame:
    """AMI, ARI and purity of one clustering: a row a measure, with the columns `SCORES`.

    Noise counts as one more cluster, so that leaving hard images out raises no score.

    Args:
        code: What was clustered: `OWN` or the name of a baseline.
        clusters: int64 (images,), from 1, 0 for noise.
        labels: int64 (images,), -1 where unknown.
        seed: Seed of the permutations.
        permutations: Number of permuted labellings.

    Returns:
        No row where fewer than two classes are known.
    """
    known = labels >= 0
    if len(np.unique(labels[known])) < 2:
        return pd.DataFrame(columns=list(SCORES))
    groups, classes = clusters[known], labels[known]
    found = label_agreement(groups, classes, seed, permutations)
    found["purity"] = purity(groups, classes, seed, permutations)
    rows = [
        (code, name, *_beside(*scores), int(clusters.max()), int((clusters == 0).sum()))
        for name, scores in found.items()
    ]
    return pd.DataFrame(rows, columns=list(SCORES))


def purity(clusters: Ints, labels: Ints, seed: int, permutations: int) -> tuple[float, Floats]:
    """Share of images that are of the commonest class of their cluster, and under permuted labels.

    It rises with the number of clusters: only its distance from the null says something.

    Args:
        clusters: int64 (images,).
        labels: int64 (images,).
        seed: Seed of the permutations.
        permutations: Number of permutations.
    """
    rng = np.random.default_rng(seed)
    left = np.unique(clusters, return_inverse=True)[1]
    right = np.unique(labels, return_inverse=True)[1]
    width = int(right.max()) + 1
    cells = (int(left.max()) + 1) * width

    def share(dealt: Ints) -> float:
        table = np.bincount(left * width + dealt, minlength=cells).reshape(-1, width)
        return float(table.max(axis=1).sum() / len(left))

    return share(right), np.array([share(rng.permutation(right)) for _ in range(permutations)])


def _beside(value: float, null: Floats) -> tuple[float, float, float, float]:
    """Value, mean and 95 % quantile of the null, and p, the observed labelling counted in."""
    p = (1 + int((null >= value - 1e-12).sum())) / (1 + len(null))
    if not len(null):
        return value, float("nan"), float("nan"), p
    return value, float(null.mean()), float(np.quantile(null, 0.95)), p
