"""The table of detectors and altered sets: areas, and rates at thresholds that clean images fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.detection.evaluation.cells import CLEAN, MISCLASSIFIED
from pathlens.detection.evaluation.fitting import (
    ON_ALL,
    ON_CLEAN,
    ON_OTHERS,
    ON_THIS,
    Scored,
    Trial,
)
from pathlens.detection.evaluation.lines import KEYS, RATES, Line
from pathlens.detection.evaluation.matching import ConfidenceMatch
from pathlens.detection.evaluation.metrics import (
    Draws,
    Resamples,
    auroc,
    auroc_draws,
    auroc_draws_of_groups,
    interval,
    share,
    share_draws,
    threshold_at,
)
from pathlens.detection.evaluation.splits import TEST
from pathlens.detection.sets import ATTACK

Thresholds = Mapping[int, float]


@dataclass(frozen=True, eq=False)
class Tables:
    """Fills the tables of one trial.

    Attributes:
        trial: The code and its divided sources.
        resamples: Bootstrap samples of the units, and behind them of the wrong units.
        twins: Altered set to bool (tested clean images,), which of these its tested images were made
            of.
        matches: Attack to the weights at matched confidence; empty where confidence is not known.
    """

    trial: Trial
    resamples: Resamples
    twins: Mapping[str, Bits] = field(repr=False)
    matches: dict[str, ConfidenceMatch] = field(default_factory=dict)

    def clean_sources(self) -> Ints:
        """Units of the tested clean images."""
        sources = self.trial.bench.sources
        return sources[self.trial.rows(sources, TEST)]

    def altered_sources(self, name: str) -> Ints:
        """Units of the tested images of an altered set."""
        sources = self.trial.bench.cells[name].sources
        return sources[self.trial.rows(sources, TEST)]

    def mistaken_sources(self) -> Ints:
        """Units of the tested clean images that the network gets wrong."""
        return self.trial.bench.mistaken_sources[self.trial.mistaken()]

    def lines(self, one: Scored) -> list[Line]:
        """The rows of a fitted detector: tested clean images, then every set it was tested on."""
        thresholds = {percent: _threshold(one.threshold, rate) for percent, rate in RATES}
        counts = self.resamples.of(self.clean_sources())
        rates, draws = _rates("fpr", one.clean, thresholds, counts)
        found = []
        if one.fitted_on != ON_OTHERS:
            found += self._clean_lines(one, thresholds, rates, draws)
        for name, scores in one.altered.items():
            found.append(self._line(one, name, scores, thresholds, rates, counts))
        return found

    def _clean_lines(
        self,
        one: Scored,
        thresholds: Thresholds,
        rates: dict[str, float],
        draws: dict[str, Draws],
    ) -> list[Line]:
        """One for the clean images that the network gets right, one for those it gets wrong."""
        counts = self.resamples.of(self.mistaken_sources())
        wrong, wrong_draws = _rates("fpr", one.mistaken, thresholds, counts)
        bench = self.trial.bench
        part = bench.wrong / (bench.wrong + len(bench.clean))
        mixed: dict[str, float] = {}
        for name in draws:
            whole = f"fpr_all_{name.removeprefix('fpr_')}"
            mixed[whole] = _mixed(rates[name], wrong[name], part)
            ends = interval(np.asarray(_mixed(draws[name], wrong_draws[name], part)))
            mixed[f"{whole}_low"], mixed[f"{whole}_high"] = ends
        found = [_clean_line(one, CLEAN, len(one.clean), {**rates, **mixed})]
        if len(one.mistaken):
            found.append(_clean_line(one, MISCLASSIFIED, len(one.mistaken), {**wrong, **mixed}))
        return found

    def _line(
        self,
        one: Scored,
        name: str,
        scores: Floats,
        thresholds: Thresholds,
        clean: dict[str, float],
        clean_counts: Any,
    ) -> Line:
        cell = self.trial.bench.cells[name]
        counts = self.resamples.of(self.altered_sources(name))
        twins = self.twins[name]
        groups = np.stack([np.ones_like(twins), twins])
        draws = auroc_draws_of_groups(one.clean, clean_counts, scores, counts, groups)
        ends, twin_ends = interval(draws[0]), interval(draws[1])
        rates, _ = _rates("tpr" if cell.kind == ATTACK else "alarms", scores, thresholds, counts)
        values = {
            **_keys(one, name, cell.kind),
            "n_clean": len(one.clean),
            "n_twins": int(twins.sum()),
            "n_altered": len(scores),
            "n_failed": self.trial.failed(cell, TEST),
            "n_changed": int(cell.changed[self.trial.rows(cell.sources, TEST)].sum()),
            "auroc": auroc(one.clean, scores),
            "ci_low": ends[0],
            "ci_high": ends[1],
            "auroc_twins": auroc(one.clean[twins], scores),
            "twins_low": twin_ends[0],
            "twins_high": twin_ends[1],
            **rates,
            **clean,
        }
        both = {"auroc": draws[0], "auroc_twins": draws[1]}
        return Line(values, both, one.is_baseline, one.mixed)

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
            "matched_on": match.on,
            "n_clean": len(one.clean),
            "n_altered": len(scores),
            "effective_clean": match.effective_clean,
            "effective_altered": match.effective_altered,
            "matched_share": match.matched,
            "auroc_all": auroc(one.clean, scores),
            "auroc": auroc(one.clean, scores, match.clean, match.altered),
            "ci_low": low,
            "ci_high": high,
            "tpr_5": share(scores > threshold, match.altered) if known else np.nan,
            "fpr_5": share(one.clean > threshold, match.clean) if known else np.nan,
        }


def twins_of(trial: Trial) -> dict[str, Bits]:
    """Of each altered set, which tested clean images its tested images were made of.

    Attacks succeed on the easier sources, so that all clean images are a harder other side than these.
    """
    bench = trial.bench
    clean = bench.clean.images["image"][trial.rows(bench.sources, TEST)]
    found: dict[str, Bits] = {}
    for name, cell in bench.cells.items():
        made_of = cell.data.sources[trial.rows(cell.sources, TEST)]
        found[name] = clean.isin(made_of).to_numpy(dtype=np.bool_)
    return found


def _rates(
    word: str, scores: Floats, thresholds: Thresholds, counts: Any
) -> tuple[dict[str, float], dict[str, Draws]]:
    """Flagged shares with intervals as columns, and the shares in every bootstrap sample."""
    rates: dict[str, float] = {}
    draws: dict[str, Draws] = {}
    for percent, threshold in thresholds.items():
        name, known = f"{word}_{percent}", not np.isnan(threshold)
        flagged = scores > threshold
        found = share_draws(flagged, counts)
        draws[name] = found if known else np.full_like(found, np.nan)
        rates[name] = share(flagged) if known else float("nan")
        rates[f"{name}_low"], rates[f"{name}_high"] = interval(draws[name])
    return rates, draws


def _mixed(right: Any, wrong: Any, part: float) -> Any:
    """The rate where `part` of the images are wrong ones."""
    return right if part == 0 else (1 - part) * right + part * wrong


def _clean_line(one: Scored, name: str, count: int, rates: dict[str, float]) -> Line:
    none = dict.fromkeys(("n_twins", "n_altered", "n_failed", "n_changed"), 0)
    values = {**_keys(one, name, CLEAN), "n_clean": count, **none, **rates}
    return Line(values, {}, one.is_baseline, one.mixed)


def _keys(one: Scored, altered: str, kind: str) -> dict[str, Any]:
    fitted_on = ON_THIS if kind == ATTACK and one.fitted_on == altered else one.fitted_on
    values = (one.code, one.detector, one.supervised, fitted_on, altered, kind)
    return dict(zip(KEYS, values, strict=True))


def _threshold(scores: Floats, rate: float, weights: Floats | None = None) -> float:
    """The threshold, NaN where there are too few images for the rate."""
    found = threshold_at(scores, rate, weights)
    return found if np.isfinite(found) else float("nan")
