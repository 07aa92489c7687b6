"""A detector on paths together with the best baseline: what the path adds to the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pathlens.analysis.source import Floats
from pathlens.detection.detectors.registry import BASELINES
from pathlens.detection.evaluation.choosing import Choice
from pathlens.detection.evaluation.fitting import ON_CLEAN, Scored
from pathlens.detection.evaluation.lines import Line
from pathlens.detection.evaluation.metrics import interval

COLUMNS = (
    *("code", "detector", "baseline", "altered", "auroc", "auroc_detector", "auroc_baseline"),
    *("difference", "difference_low", "difference_high"),
)


def combinations(found: Sequence[Scored], choice: Choice) -> list[Scored]:
    """Every detector on paths that was fitted on clean images, plus the chosen baseline.

    The combined score is the sum of both scores, each standardised by the mean and the spread of the
    clean images that fix thresholds; no attacked image has a say in it.
    """
    baseline = next((x for x in found if x.detector == choice.baseline), None)
    if baseline is None:
        return []
    pure = [x for x in found if x.fitted_on == ON_CLEAN and not x.mixed]
    parts = [x for x in pure if x.detector not in BASELINES]
    return [_sum(one, baseline) for one in parts]


def name_of(detector: str, baseline: str) -> str:
    """What tables call a detector together with a baseline."""
    return f"{detector} + {baseline}"


def _sum(one: Scored, other: Scored) -> Scored:
    def both(part: str) -> Floats:
        return _standard(getattr(one, part), one) + _standard(getattr(other, part), other)

    return Scored(
        code=one.code,
        detector=name_of(one.detector, other.detector),
        supervised=False,
        fitted_on=ON_CLEAN,
        threshold=both("threshold"),
        clean=both("clean"),
        altered={
            name: _standard(scores, one) + _standard(other.altered[name], other)
            for name, scores in one.altered.items()
        },
        mixed=True,
        mistaken=both("mistaken"),
    )


def _standard(scores: Floats, one: Scored) -> Floats:
    spread = float(one.threshold.std())
    return np.asarray((scores - one.threshold.mean()) / (spread if spread > 0 else 1.0))


def combined_rows(lines: Sequence[Line], choice: Choice, code: str) -> list[dict[str, Any]]:
    """Each combination on each attack beside its two parts.

    `difference` is the area of the combination minus that of the better part, paired over sources.
    """
    own = [x for x in lines if x.values["code"] == code and x.values["fitted_on"] == ON_CLEAN]
    table: Mapping[tuple[str, str], Line] = {
        (x.values["detector"], x.values["altered"]): x for x in own if "auroc" in x.values
    }
    rows: list[dict[str, Any]] = []
    for (detector, altered), line in table.items():
        together = table.get((name_of(detector, choice.baseline), altered))
        other = table.get((choice.baseline, altered))
        if together is not None and other is not None and line.values["kind"] == "attack":
            rows.append(_row(line, other, together))
    return rows


def _row(line: Line, other: Line, together: Line) -> dict[str, Any]:
    better = max(line, other, key=lambda x: x.values["auroc"])
    low, high = interval(together.draws["auroc"] - better.draws["auroc"])
    areas = [x.values["auroc"] for x in (together, line, other)]
    names = [x.values["detector"] for x in (line, other)]
    found = (
        *(line.values["code"], *names, line.values["altered"], *areas),
        *(areas[0] - better.values["auroc"], low, high),
    )
    return dict(zip(COLUMNS, found, strict=True))
