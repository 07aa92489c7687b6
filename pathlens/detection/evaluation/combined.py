"""A detector on paths together with the best baseline: what the path adds to the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pathlens.analysis.source import Floats
from pathlens.detection.detectors.registry import BASELINES
from pathlens.detection.evaluation.fitting import ON_CLEAN, Scored
from pathlens.detection.evaluation.metrics import auroc, interval
from pathlens.detection.evaluation.table import Line

COLUMNS = (
    *("code", "detector", "baseline", "altered", "auroc", "auroc_detector", "auroc_baseline"),
    *("difference", "difference_low", "difference_high"),
)


@dataclass(frozen=True)
class Choice:
    """The best of the detectors fitted on clean images, chosen without a tested image.

    Attributes:
        detector: Name of the best detector on paths, "" if there is none.
        baseline: Name of the best baseline on the output, "" if there is none.
    """

    detector: str
    baseline: str


def choose(found: Sequence[Scored]) -> Choice:
    """The detector and the baseline of the highest mean area over attacks, beside the test.

    Their clean scores are those that fix thresholds, their attacked ones of sources to fit on, which
    these detectors have not seen attacked.
    """
    unsupervised = [one for one in found if one.fitted_on == ON_CLEAN and not one.mixed]
    areas = {one.detector: _mean_area(one) for one in unsupervised}
    paths = [x for x in areas if x not in BASELINES and not np.isnan(areas[x])]
    outputs = [x for x in areas if x in BASELINES and not np.isnan(areas[x])]
    return Choice(
        max(paths, key=lambda x: areas[x], default=""),
        max(outputs, key=lambda x: areas[x], default=""),
    )


def _mean_area(one: Scored) -> float:
    areas = [auroc(one.threshold, scores) for scores in one.fit_altered.values() if len(scores)]
    return float(np.mean(areas)) if areas else float("nan")


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
    low, high = interval(together.draws - better.draws)
    areas = [x.values["auroc"] for x in (together, line, other)]
    names = [x.values["detector"] for x in (line, other)]
    found = (
        *(line.values["code"], *names, line.values["altered"], *areas),
        *(areas[0] - better.values["auroc"], low, high),
    )
    return dict(zip(COLUMNS, found, strict=True))
