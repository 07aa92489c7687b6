"""The same evaluation on other splits: how far a figure depends on who was drawn where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from pathlens.detection.detectors.base import Detector
from pathlens.detection.evaluation.fitting import ON_THIS, Scored, Trial, all_scored
from pathlens.detection.evaluation.metrics import auroc, share, threshold_at

COLUMNS = (
    *("code", "detector", "fitted_on", "altered", "kind", "seeds", "auroc_mean", "auroc_sd"),
    *("auroc_min", "auroc_max", "tpr_5_mean", "fpr_5_mean"),
)
_KEYS = ["code", "detector", "fitted_on", "altered", "kind"]


def repeated_rows(
    trials: Sequence[Trial],
    first: Iterable[Scored],
    detectors: Sequence[Detector],
    notes: list[str],
    progress: bool,
) -> list[dict[str, Any]]:
    """Area and rates of every fit on every split, without intervals.

    Args:
        trials: One code on several splits.
        first: What was already scored on the first of them.
        detectors: The detectors.
        notes: Takes a sentence for every detector that was left out.
        progress: Whether to show progress bars.
    """
    rows = [row for one in first for row in _rows(trials[0], one)]
    for trial in trials[1:]:
        for one in all_scored(trial, detectors, notes, progress):
            rows += _rows(trial, one)
    return rows


def _rows(trial: Trial, one: Scored) -> list[dict[str, Any]]:
    threshold = threshold_at(one.threshold, 0.05)
    return [
        {
            "code": one.code,
            "detector": one.detector,
            "fitted_on": ON_THIS if one.fitted_on == name else one.fitted_on,
            "altered": name,
            "kind": trial.bench.cells[name].kind,
            "auroc": auroc(one.clean, scores),
            "tpr_5": share(scores > threshold),
            "fpr_5": share(one.clean > threshold),
        }
        for name, scores in one.altered.items()
        if len(scores)
    ]


def spread_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Mean and spread of every row over splits; the standard deviation is that of a sample."""
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS))
    grouped = pd.DataFrame(rows).groupby(_KEYS, sort=False)
    found = grouped.agg(
        seeds=("auroc", "size"),
        auroc_mean=("auroc", "mean"),
        auroc_sd=("auroc", "std"),
        auroc_min=("auroc", "min"),
        auroc_max=("auroc", "max"),
        tpr_5_mean=("tpr_5", "mean"),
        fpr_5_mean=("fpr_5", "mean"),
    )
    frame = found.reset_index()
    return frame[frame["seeds"] > 1].reindex(columns=list(COLUMNS)).reset_index(drop=True)
