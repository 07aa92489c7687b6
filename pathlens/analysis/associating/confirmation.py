"""What the confirmation images say about combinations that were found without them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.associating.resampling import Resampling, interval
from pathlens.analysis.associating.shifts import circular_shift_test
from pathlens.analysis.associating.trial import Trial
from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.analysis.statistics import fisher_greater, phi

FISHER = "Fisher"
SHIFT = "circular shift"

EFFECTS = ("phi", "lift", "precision", "recall", "f1", "image_iou")
"""Effect sizes of an association; each comes with a bootstrap interval."""

# Cells of the table combination x concept, in binary order: off without, off with, on without, on with.
_ON, _HAS, _BOTH = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0, 0, 0, 1])


def confirm(
    trial: Trial, resampling: Resampling, rng: np.random.Generator, *, sequences: bool = False
) -> pd.DataFrame:
    """Exact test, effect sizes and bootstrap intervals, a row a candidate.

    Args:
        trial: The candidates and the images.
        resampling: How bootstrap samples of the confirmation images are drawn.
        rng: Source of chance of the bootstrap.
        sequences: Whether the images of a group are a sequence: p is then from circular shifts.

    Returns:
        Columns n, support, `EFFECTS` with `_ci_low` and `_ci_high` of each, p, p_smallest (the
        smallest that the test can give), test, groups (0 where every image stands alone).
    """
    return pd.DataFrame(
        [_row(trial.on(i), trial.has(i), resampling, rng, sequences) for i in range(len(trial))]
    )


def _row(
    on: Bits, has: Bits, resampling: Resampling, rng: np.random.Generator, sequences: bool
) -> dict[str, Any]:
    cells = resampling.cells(on, has)
    total = cells.sum(axis=0)
    row: dict[str, Any] = {"n": int(total.sum()), "support": int(total @ _ON)}
    row |= {name: float(value) for name, value in effects(total).items()}
    drawn = effects(resampling.drawn(cells, rng))
    for name in EFFECTS:
        row[f"{name}_ci_low"], row[f"{name}_ci_high"] = interval(drawn[name])
    shifted = sequences and resampling.groups is not None
    if shifted and resampling.groups is not None:
        row["p"], row["p_smallest"] = circular_shift_test(on, has, resampling.groups)
    else:
        row["p"], row["p_smallest"] = _fisher(total)
    return {**row, "test": SHIFT if shifted else FISHER, "groups": resampling.count}


def effects(cells: Ints) -> dict[str, Floats]:
    """Effect sizes from counts of combination and concept; NaN where one is not defined.

    phi is the correlation of the two; lift the share with the concept among images for which the
    combination is on, over that among all; precision and recall take the combination as a detector
    of the concept, f1 is their harmonic mean; image_iou is the number of images with both over the
    number with either (Jaccard 1901).

    Args:
        cells: int64 (..., 4), images off without the concept, off with, on without, on with it.
    """
    images, on, has, both = cells.sum(axis=-1), cells @ _ON, cells @ _HAS, cells @ _BOTH
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = both / on
        return {
            "phi": phi(both, on, has, images),
            "lift": precision * images / has,
            "precision": precision,
            "recall": both / has,
            "f1": 2 * both / (on + has),
            "image_iou": both / (on + has - both),
        }


def _fisher(total: Ints) -> tuple[float, float]:
    """One-sided exact p, and the smallest that these margins allow."""
    both, on, has = (np.array([int(total @ cell)]) for cell in (_BOTH, _ON, _HAS))
    counts = np.concatenate([both, np.minimum(on, has)])
    images = int(total.sum())
    p, smallest = fisher_greater(counts, np.repeat(on, 2), np.repeat(has, 2), images)
    return float(p), float(smallest)
