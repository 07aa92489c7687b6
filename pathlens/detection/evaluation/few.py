"""How many images a detector needs: a few of every class to fit on instead of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.analysis.baselines import OWN
from pathlens.analysis.source import Bits, Ints
from pathlens.detection.detectors.base import Detector
from pathlens.detection.detectors.registry import BASELINES
from pathlens.detection.evaluation.fitting import (
    ON_ALL,
    ON_CLEAN,
    ON_OTHERS,
    Plan,
    Scored,
    Trial,
    plans,
    scored,
)
from pathlens.detection.evaluation.metrics import auroc
from pathlens.detection.evaluation.splits import FIT
from pathlens.detection.sets import ATTACK
from pathlens.errors import PathLensError

ALL = "all"
COLUMNS = (
    *("code", "detector", "fitted_on", "altered", "examples", "n_fit_clean", "n_fit_altered"),
    *("draws", "auroc", "auroc_low", "auroc_high"),
)

_LEAST = 2
_TOO_FEW = (
    "supervised detectors fitted on 1 image a class, as how far a path strays from its class is "
    "measured by the other images of the class"
)

_Key = tuple[str, str, str]  # detector, fitted on, tested on


def few_rows(
    trial: Trial,
    detectors: Sequence[Detector],
    examples: Sequence[int],
    draws: int,
    seed: int,
    notes: list[str],
) -> list[dict[str, Any]]:
    """Areas of detectors that were fitted on a few images of every class.

    Of the clean images `examples` of each class are drawn; supervised detectors are fitted on the
    attack that they are tested on, on as many attacked images of each true class. The draws are made
    anew `draws` times: area is their mean, low and high the lowest and the highest.

    Args:
        trial: The code and its divided sources.
        detectors: The detectors; those on the output run on the network's own recording only.
        examples: Numbers of images a class.
        draws: How often images are drawn.
        seed: Seed of the draws.
        notes: Takes a sentence for every number of images that a detector cannot be fitted on.
    """
    rows: list[dict[str, Any]] = []
    for count in examples:
        areas: dict[_Key, list[float]] = defaultdict(list)
        for draw in range(draws):
            thinned = _thinned(trial, count, np.random.default_rng([seed, count, draw]))
            for plan in _single_plans(trial, detectors):
                if plan.detector.supervised and count < _LEAST:
                    _note(notes, _TOO_FEW)
                    continue
                for key, area in _areas(thinned, plan, count, notes):
                    areas[key].append(area)
        rows += [_row(trial, key, count, found) for key, found in areas.items()]
    return rows


def _note(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def all_rows(trial: Trial, found: Iterable[Scored]) -> list[dict[str, Any]]:
    """The same rows for detectors that were fitted on all images to fit."""
    cells = trial.bench.cells
    return [
        _row(trial, (one.detector, one.fitted_on, name), None, [auroc(one.clean, scores)])
        for one in found
        for name, scores in one.altered.items()
        if one.fitted_on in (ON_CLEAN, name) and cells[name].kind == ATTACK and len(scores)
    ]


def _single_plans(trial: Trial, detectors: Sequence[Detector]) -> list[Plan]:
    """The fits on clean images and on single attacks, tested on the same attack."""
    fitting = [x for x in detectors if trial.code == OWN or x.name not in BASELINES]
    found = [plan for plan in plans(trial, fitting) if plan.fitted_on not in (ON_ALL, ON_OTHERS)]
    attacks = tuple(trial.bench.attacks)
    return [replace(plan, tested=plan.fit_on or attacks) for plan in found]


def _areas(
    thinned: Trial, plan: Plan, count: int, notes: list[str]
) -> Iterable[tuple[_Key, float]]:
    try:
        one = scored(thinned, plan)
    except PathLensError as error:
        name = f"{plan.detector.name} on {thinned.code} fitted on {count} a class"
        _note(notes, f"{name}: {str(error).rstrip('.')}")
        return []
    return [
        ((one.detector, one.fitted_on, name), auroc(one.clean, scores))
        for name, scores in one.altered.items()
        if len(scores)
    ]


def _row(trial: Trial, key: _Key, count: int | None, areas: list[float]) -> dict[str, Any]:
    detector, fitted_on, name = key
    bench = trial.bench
    clean = _number(trial, bench.sources, bench.clean.images["label"], count)
    altered = 0
    if fitted_on != ON_CLEAN:
        cell = bench.cells[fitted_on]
        altered = _number(trial, cell.sources, cell.data.images["label"], count)
    values = (
        *(trial.code, detector, fitted_on, name, ALL if count is None else str(count)),
        *(clean, altered, len(areas), float(np.mean(areas)), min(areas), max(areas)),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _number(trial: Trial, sources: Ints, labels: pd.Series, count: int | None) -> int:
    """Images to fit on, at most `count` of every class."""
    sizes = labels[trial.rows(sources, FIT)].value_counts()
    return int((sizes if count is None else sizes.clip(upper=count)).sum())


def _thinned(trial: Trial, count: int, rng: np.random.Generator) -> Trial:
    """The trial with at most `count` images of every class and set to fit on; all tested ones."""
    bench = trial.bench
    kept = _kept(trial, bench.sources, bench.clean.images["label"], count, rng)
    cells = {}
    for name, cell in bench.cells.items():
        rows = _kept(trial, cell.sources, cell.data.images["label"], count, rng)
        cells[name] = replace(
            cell, data=cell.data.take(rows), sources=cell.sources[rows], changed=cell.changed[rows]
        )
    clean = bench.clean.take(kept)
    return replace(
        trial, bench=replace(bench, clean=clean, sources=bench.sources[kept], cells=cells)
    )


def _kept(
    trial: Trial, sources: Ints, labels: pd.Series, count: int, rng: np.random.Generator
) -> Bits:
    """Rows that stay: all that are not to fit, and `count` of every class that are."""
    parts = trial.parts[sources]
    kept: npt.NDArray[np.bool_] = parts != FIT
    classes = labels.to_numpy()
    for label in np.unique(classes):
        members = np.flatnonzero((parts == FIT) & (classes == label))
        kept[rng.permutation(members)[:count]] = True
    return kept
