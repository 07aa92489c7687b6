"""The rows of the main table, and each of them beside the best baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pathlens.detection.evaluation.cells import CLEAN
from pathlens.detection.evaluation.fitting import ON_CLEAN
from pathlens.detection.evaluation.metrics import Draws, interval
from pathlens.detection.sets import ATTACK

KEYS = ("code", "detector", "supervised", "fitted_on", "altered", "kind")
RATES = ((1, 0.01), (5, 0.05))
"""Per cent and share of clean images that may be flagged."""

_SIDES = {"": "auroc", "_twins": "auroc_twins"}  # ending of a column to the area that it is about


@dataclass(frozen=True, eq=False)
class Line:
    """One row of the table, with its areas in every bootstrap sample.

    Attributes:
        values: The columns.
        draws: Name of an area ("auroc", "auroc_twins") to float64 (samples,); none for the rows of
            clean images.
        is_baseline: Whether detectors on paths are held against it.
        mixed: Whether it reads paths and the output.
    """

    values: dict[str, Any]
    draws: dict[str, Draws] = field(repr=False, default_factory=dict)
    is_baseline: bool = False
    mixed: bool = False


def main_lines(lines: Sequence[Line]) -> list[Line]:
    """The rows of the main table: without pairs of an attack fitted on and another tested."""
    names = {line.values["altered"] for line in lines} - {CLEAN}
    return [line for line in lines if line.values["fitted_on"] not in names]


def with_differences(lines: Sequence[Line]) -> pd.DataFrame:
    """The rows as a table, each attacked one beside the best baseline on the same set.

    A baseline counts if it was fitted on clean images, or on the same attacks as the row. The best one
    is that of the highest area on the tested images, which favours the baseline; against the clean
    images of the same sources it may be another. One that reads a code and the output counts only
    beside rows that do so too.
    """
    rows = [{**line.values, **_differences(line, lines)} for line in lines]
    frame = pd.DataFrame(rows)
    return frame.reindex(columns=_ordered(frame.columns))


def _differences(line: Line, lines: Sequence[Line]) -> dict[str, Any]:
    values = line.values
    rivals: list[Line] = []
    if not line.is_baseline and values["kind"] == ATTACK and not np.isnan(values["auroc"]):
        rivals = [
            other
            for other in lines
            if other.is_baseline
            and other.values["altered"] == values["altered"]
            and other.values["fitted_on"] in (ON_CLEAN, values["fitted_on"])
            and (line.mixed or not other.mixed)
        ]
    found: dict[str, Any] = {}
    for end, area in _SIDES.items():
        found |= _difference(line, rivals, end, area)
    return found


def _difference(line: Line, rivals: Sequence[Line], end: str, area: str) -> dict[str, Any]:
    names = [f"{name}{end}" for name in ("baseline", "difference")]
    names += [f"{names[1]}_low", f"{names[1]}_high"]
    if not rivals:
        return dict(zip(names, ("", np.nan, np.nan, np.nan), strict=True))
    best = max(rivals, key=lambda other: other.values[area])
    baseline = f"{best.values['code']}: {best.values['detector']}"
    above = line.values[area] - best.values[area]
    ends = interval(line.draws[area] - best.draws[area])
    return dict(zip(names, (baseline, above, *ends), strict=True))


def _ordered(columns: Iterable[str]) -> list[str]:
    rates = [
        f"{word}_{percent}{end}"
        for word in ("tpr", "alarms", "fpr", "fpr_all")
        for percent, _ in RATES
        for end in ("", "_low", "_high")
    ]
    counts = ["n_clean", "n_twins", "n_altered", "n_failed", "n_changed"]
    areas = ["auroc", "ci_low", "ci_high", "auroc_twins", "twins_low", "twins_high"]
    differences = [
        name
        for end in _SIDES
        for name in (f"baseline{end}", *(f"difference{end}{x}" for x in ("", "_low", "_high")))
    ]
    return [*KEYS, *counts, *areas, *rates, *differences]
