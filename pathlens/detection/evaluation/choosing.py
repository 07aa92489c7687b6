"""Which detector the sentences speak of, chosen on the images to fit on and never on tested ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

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
from pathlens.detection.evaluation.splits import FIT, TEST
from pathlens.errors import PathLensError

_NOWHERE = 3  # a part of the sources that nothing is fitted, fixed or tested on
_FOLDS = 2


@dataclass(frozen=True)
class Choice:
    """The best detectors, chosen without a tested image, but with the attacks that are tested.

    Choosing looks at the same attacks made of other images, those to fit on: who has never seen these
    attacks might choose another one.

    Attributes:
        detector: Name of the best detector on paths fitted on clean images, "" if there is none.
        baseline: Name of the best baseline on the output, "" if there is none.
        supervised: Name of the best supervised detector on paths, "" if there is none.
    """

    detector: str
    baseline: str
    supervised: str = ""


def choose(found: Sequence[Scored]) -> Choice:
    """Of detectors fitted on clean images those of the highest mean area over the same attacks.

    Their clean scores are those that fix thresholds, their attacked ones those of the sources to fit
    on, which these detectors have not seen attacked. The baseline is chosen in the same way.
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


def choose_supervised(
    trial: Trial, detectors: Sequence[Detector], found: Iterable[Scored], seed: int
) -> str:
    """The supervised detector of the best worst area on families that it was not fitted on.

    The sources to fit on are halved: a detector is fitted on one half without the family, tested on the
    other, and the other way round (Stone 1974 on choosing by cross-validation). With one family only
    it is fitted on that.

    Args:
        trial: The code and its divided sources.
        detectors: All detectors.
        found: What could be fitted; others are not asked.
        seed: Seed of the halves.
    """
    fitted = {one.detector for one in found}
    candidates = [x for x in detectors if x.supervised and x.name in fitted]
    if len(candidates) < 2:
        return candidates[0].name if candidates else ""
    folds = list(_folds(trial, seed))
    lowest = {x.name: _lowest_area(folds, x) for x in candidates}
    return max(lowest, key=lambda name: lowest[name])


def _folds(trial: Trial, seed: int) -> Iterator[Trial]:
    """The trial with one half of the sources to fit on in place of the tested ones, then the other."""
    mine = np.random.default_rng([seed, _FOLDS]).permutation(np.flatnonzero(trial.parts == FIT))
    bench = replace(
        trial.bench,
        mistaken=trial.bench.mistaken.take(np.zeros(0, dtype=np.int64)),
        mistaken_sources=np.zeros(0, dtype=np.int64),
    )
    for fold in range(_FOLDS):
        parts = np.full_like(trial.parts, _NOWHERE)
        parts[mine] = FIT
        parts[mine[fold::_FOLDS]] = TEST
        yield replace(trial, bench=bench, parts=parts)


def _lowest_area(folds: Sequence[Trial], detector: Detector) -> float:
    areas: dict[str, list[float]] = {}
    for trial in folds:
        one_family = len(set(trial.bench.families.values())) < 2
        wanted = ON_ALL if one_family else ON_OTHERS
        for plan in plans(trial, [detector]):
            for name, area in _areas(trial, plan) if plan.fitted_on == wanted else ():
                areas.setdefault(name, []).append(area)
    means = [float(np.mean(x)) for x in areas.values()]
    return min(means, default=-np.inf)


def _areas(trial: Trial, plan: Plan) -> list[tuple[str, float]]:
    """Area on each attack tested; none where half of the images are too few to fit on."""
    try:
        one = scored(trial, plan)
    except PathLensError:
        return []
    attacks = trial.bench.attacks
    return [(x, auroc(one.clean, y)) for x, y in one.altered.items() if x in attacks and len(y)]
