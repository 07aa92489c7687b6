"""The table of detectors and altered sets: areas, rates at fixed thresholds, differences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.source import Floats, Ints
from pathlens.detection.evaluation.cells import ATTACK, CLEAN, confidence
from pathlens.detection.evaluation.fitting import (
    ON_ALL,
    ON_CLEAN,
    ON_OTHERS,
    ON_THIS,
    Scored,
    Trial,
)
from pathlens.detection.evaluation.matching import ConfidenceMatch, match_confidence
from pathlens.detection.evaluation.metrics import (
    Draws,
    Resamples,
    auroc,
    auroc_draws,
    interval,
    share,
    share_draws,
    threshold_at,
)
from pathlens.detection.evaluation.splits import TEST, THRESHOLD

KEYS = ("code", "detector", "supervised", "fitted_on", "altered", "kind")
_RATES = ((1, 0.01), (5, 0.05))


@dataclass(frozen=True, eq=False)
class Line:
    """One row of the table, with its area in every bootstrap sample.

    Attributes:
        values: The columns.
        draws: float64 (samples,), its area; empty for the rows of clean images.
        is_baseline: Whether detectors on paths are held against it.
        mixed: Whether it reads paths and the output.
    """

    values: dict[str, Any]
    draws: Draws = field(repr=False)
    is_baseline: bool = False
    mixed: bool = False


@dataclass(frozen=True, eq=False)
class Tables:
    """Fills the tables of one trial.

    Attributes:
        trial: The code and its divided sources.
        resamples: Bootstrap samples of the units.
        matches: Attack to the weights at matched confidence; empty where confidence is not known.
    """

    trial: Trial
    resamples: Resamples
    matches: dict[str, ConfidenceMatch] = field(default_factory=dict)

    def clean_sources(self) -> Ints:
        """Units of the tested clean images."""
        sources = self.trial.bench.sources
        return sources[self.trial.rows(sources, TEST)]

    def altered_sources(self, name: str) -> Ints:
        """Units of the tested images of an altered set."""
        sources = self.trial.bench.cells[name].sources
        return sources[self.trial.rows(sources, TEST)]

    def lines(self, one: Scored) -> list[Line]:
        """The rows of a fitted detector: tested clean images, then every set it was tested on."""
        thresholds = {percent: _threshold(one.threshold, rate) for percent, rate in _RATES}
        counts = self.resamples.of(self.clean_sources())
        clean = self._clean_rates(one, thresholds, counts)
        found = [self._clean_line(one, clean)] if one.fitted_on != ON_OTHERS else []
        for name, scores in one.altered.items():
            found.append(self._line(one, name, scores, thresholds, clean, counts))
        return found

    def _clean_rates(
        self, one: Scored, thresholds: dict[int, float], counts: Any
    ) -> dict[str, float]:
        rates: dict[str, float] = {}
        for percent, threshold in thresholds.items():
            flagged = _flagged(one.clean, threshold)
            low, high = interval(share_draws(flagged, counts))
            known = not np.isnan(threshold)
            rates[f"fpr_{percent}"] = share(flagged) if known else float("nan")
            rates[f"fpr_{percent}_low"] = low if known else float("nan")
            rates[f"fpr_{percent}_high"] = high if known else float("nan")
        return rates

    def _clean_line(self, one: Scored, rates: dict[str, float]) -> Line:
        values = {
            **_keys(one, CLEAN, CLEAN),
            "n_clean": len(one.clean),
            "n_altered": 0,
            "n_failed": 0,
            "n_changed": 0,
            **rates,
        }
        return Line(values, np.zeros(0), one.is_baseline, one.mixed)

    def _line(
        self,
        one: Scored,
        name: str,
        scores: Floats,
        thresholds: dict[int, float],
        clean: dict[str, float],
        clean_counts: Any,
    ) -> Line:
        cell = self.trial.bench.cells[name]
        sources = self.altered_sources(name)
        counts = self.resamples.of(sources)
        draws = auroc_draws(one.clean, clean_counts, scores, counts)
        low, high = interval(draws)
        word = "tpr" if cell.kind == ATTACK else "alarms"
        rates: dict[str, float] = {}
        for percent, threshold in thresholds.items():
            flagged = _flagged(scores, threshold)
            known = not np.isnan(threshold)
            ends = interval(share_draws(flagged, counts)) if known else (np.nan, np.nan)
            rates[f"{word}_{percent}"] = share(flagged) if known else float("nan")
            rates[f"{word}_{percent}_low"], rates[f"{word}_{percent}_high"] = ends
        values = {
            **_keys(one, name, cell.kind),
            "n_clean": len(one.clean),
            "n_altered": len(scores),
            "n_failed": self.trial.failed(cell, TEST),
            "n_changed": int(cell.changed[self.trial.rows(cell.sources, TEST)].sum()),
            "auroc": auroc(one.clean, scores),
            "ci_low": low,
            "ci_high": high,
            **rates,
            **clean,
        }
        return Line(values, draws, one.is_baseline, one.mixed)

    def matched_rows(self, one: Scored) -> list[dict[str, Any]]:
        """The rows at matched confidence, one for every attack of the main table."""
        return [
            self._matched_row(one, name, self.matches[name])
            for name in one.altered
            if name in self.matches and one.fitted_on in (ON_CLEAN, ON_ALL, ON_OTHERS, name)
        ]

    def _matched_row(self, one: Scored, name: str, match: ConfidenceMatch) -> dict[str, Any]:
        scores = one.altered[name]
        left = self.resamples.of(self.clean_sources()) * match.clean[:, None].astype(np.float32)
        right = self.resamples.of(self.altered_sources(name))
        right = right * match.altered[:, None].astype(np.float32)
        low, high = interval(auroc_draws(one.clean, left, scores, right))
        threshold = _threshold(one.threshold, 0.05, match.threshold)
        known = not np.isnan(threshold)
        return {
            **_keys(one, name, ATTACK),
            "n_clean": len(one.clean),
            "n_altered": len(scores),
            "effective_clean": match.effective_clean,
            "effective_altered": match.effective_altered,
            "matched_share": match.matched,
            "auroc_all": auroc(one.clean, scores),
            "auroc": auroc(one.clean, scores, match.clean, match.altered),
            "ci_low": low,
            "ci_high": high,
            "tpr_5": share(_flagged(scores, threshold), match.altered) if known else np.nan,
            "fpr_5": share(_flagged(one.clean, threshold), match.clean) if known else np.nan,
        }


def confidence_matches(trial: Trial) -> dict[str, ConfidenceMatch]:
    """Weights at matched confidence for each attack; none where confidence is not known."""
    bench = trial.bench
    known = confidence(bench.clean)
    if known is None:
        return {}
    tested, fixing = (known[trial.rows(bench.sources, part)] for part in (TEST, THRESHOLD))
    found: dict[str, ConfidenceMatch] = {}
    for name in bench.attacks:
        values = confidence(trial.altered(bench.cells[name], TEST))
        if values is not None and len(values):
            found[name] = match_confidence(tested, values, fixing)
    return found


def with_differences(lines: Sequence[Line]) -> pd.DataFrame:
    """The rows as a table, each attacked one beside the best baseline on the same set.

    A baseline counts if it was fitted on clean images, or on the same attacks as the row. The best one
    is that of the highest area on the tested images, which favours the baseline. One that reads a code
    and the output counts only beside rows that do so too.
    """
    rows = [{**line.values, **_difference(line, lines)} for line in lines]
    frame = pd.DataFrame(rows)
    return frame.reindex(columns=_ordered(frame.columns))


def _difference(line: Line, lines: Sequence[Line]) -> dict[str, Any]:
    empty = dict.fromkeys(("difference", "difference_low", "difference_high"), float("nan"))
    values = line.values
    if line.is_baseline or values["kind"] != ATTACK or np.isnan(values["auroc"]):
        return {"baseline": "", **empty}
    rivals = [
        other
        for other in lines
        if other.is_baseline
        and other.values["altered"] == values["altered"]
        and other.values["fitted_on"] in (ON_CLEAN, values["fitted_on"])
        and (line.mixed or not other.mixed)
    ]
    if not rivals:
        return {"baseline": "", **empty}
    best = max(rivals, key=lambda other: other.values["auroc"])
    low, high = interval(line.draws - best.draws)
    return {
        "baseline": f"{best.values['code']}: {best.values['detector']}",
        "difference": values["auroc"] - best.values["auroc"],
        "difference_low": low,
        "difference_high": high,
    }


def _ordered(columns: Iterable[str]) -> list[str]:
    rates = [
        f"{word}_{percent}{end}"
        for word in ("tpr", "alarms", "fpr")
        for percent, _ in _RATES
        for end in ("", "_low", "_high")
    ]
    counts = ["n_clean", "n_altered", "n_failed", "n_changed"]
    differences = ["baseline", "difference", "difference_low", "difference_high"]
    return [*KEYS, *counts, "auroc", "ci_low", "ci_high", *rates, *differences]


def _keys(one: Scored, altered: str, kind: str) -> dict[str, Any]:
    fitted_on = ON_THIS if kind == ATTACK and one.fitted_on == altered else one.fitted_on
    values = (one.code, one.detector, one.supervised, fitted_on, altered, kind)
    return dict(zip(KEYS, values, strict=True))


def _threshold(scores: Floats, rate: float, weights: Floats | None = None) -> float:
    """The threshold, NaN where there are too few images for the rate."""
    found = threshold_at(scores, rate, weights)
    return found if np.isfinite(found) else float("nan")


def _flagged(scores: Floats, threshold: float) -> Any:
    return scores > threshold


def main_lines(lines: Sequence[Line]) -> list[Line]:
    """The rows of the main table: without pairs of an attack fitted on and another tested."""
    names = {line.values["altered"] for line in lines} - {CLEAN}
    return [line for line in lines if line.values["fitted_on"] not in names]
