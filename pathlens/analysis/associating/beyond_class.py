"""Is an association more than what the class explains: three verdicts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pathlens.analysis.associating.corrections import can_be_significant, corrected
from pathlens.analysis.associating.stratified import within_class
from pathlens.analysis.associating.trial import Trial
from pathlens.analysis.source import Bits, Ints

BEYOND = "beyond class"
EXPLAINED = "explained by class"
UNDECIDABLE = "undecidable"
NEGLIGIBLE = (0.8, 1.25)
"""Odds ratios between which an association within classes is as good as none."""

COLUMNS = (
    "within_class_p",
    "within_class_p_smallest",
    "within_class_or",
    "within_class_or_low",
    "within_class_or_high",
)


def class_effects(trial: Trial, labels: Ints | None, asked: Bits) -> pd.DataFrame:
    """The association of every candidate within classes, on confirmation images of known class.

    Args:
        trial: The candidates and the images.
        labels: int64 (confirmation images,), classes, -1 where unknown; None where all are.
        asked: bool (candidates,), whether the concept varies within classes.

    Returns:
        Columns `COLUMNS`; NaN where not asked.
    """
    rows = [
        _row(trial, row, labels) if asked[row] and labels is not None else [np.nan] * len(COLUMNS)
        for row in range(len(trial))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=np.float64)


def _row(trial: Trial, row: int, labels: Ints) -> list[float]:
    found = within_class(class_tables(trial.on(row), trial.has(row), labels))
    return [found.p, found.smallest, found.odds_ratio, found.low, found.high]


def class_tables(on: Bits, has: Bits, labels: Ints) -> Ints:
    """Images of each class with both, with the first alone, the second alone, neither: (classes, 4)."""
    known = labels >= 0
    code = 4 * labels[known] + 2 * ~on[known] + ~has[known]
    width = 4 * (int(labels.max(initial=-1)) + 1)
    return np.bincount(code, minlength=width).reshape(-1, 4)


def with_verdicts(frame: pd.DataFrame, level: float, correction: str) -> pd.DataFrame:
    """Add within_class_p_corrected and the verdict beyond_class ("" where not asked).

    The candidates that were asked are one family, corrected as the report is. An interval of the odds
    ratio that lies inside `NEGLIGIBLE` shows that what is left within classes does not matter, however
    significant; else a significant test says that the association is beyond the class.

    Args:
        frame: Columns `COLUMNS`.
        level: Level of the family.
        correction: A key of `corrections.CORRECTIONS`.
    """
    p = frame["within_class_p"].to_numpy(dtype=np.float64)
    asked = ~np.isnan(p)
    family = np.zeros(len(p), dtype=np.bool_)
    family[asked] = can_be_significant(frame["within_class_p_smallest"].to_numpy()[asked], level)
    stepped = corrected(p, family, correction)
    low, high = NEGLIGIBLE
    inside = (frame["within_class_or_low"] >= low) & (frame["within_class_or_high"] <= high)
    with np.errstate(invalid="ignore"):
        verdict = np.select(
            [~asked, inside.to_numpy(), stepped <= level], ["", EXPLAINED, BEYOND], UNDECIDABLE
        )
    return frame.assign(within_class_p_corrected=stepped, beyond_class=verdict)
