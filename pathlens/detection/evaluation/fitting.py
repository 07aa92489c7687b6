"""Fitting detectors on one part of the sources and scoring the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pathlens.analysis.baselines import OWN
from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.detection.data import DetectionData, joined
from pathlens.detection.detectors.base import Detector, Fitted
from pathlens.detection.detectors.combined import Combined
from pathlens.detection.detectors.registry import BASELINES
from pathlens.detection.evaluation.cells import Bench, Cell
from pathlens.detection.evaluation.splits import FIT, TEST, THRESHOLD
from pathlens.errors import PathLensError
from pathlens.progress import progress_bar

ON_CLEAN = "clean"
ON_ALL = "all attacks"
ON_OTHERS = "all other attacks"
ON_THIS = "this attack"


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of one fitted detector.

    Attributes:
        code: The code that it read.
        detector: Its name.
        supervised: Whether it was fitted on attacked images.
        fitted_on: ON_CLEAN, ON_ALL, ON_OTHERS (all attacks of other families than the tested ones) or
            the name of an attack.
        threshold: float64, scores of the clean images that fix the threshold.
        clean: float64, scores of the tested clean images.
        altered: Altered set to float64, scores of its tested images.
        fit_altered: Attack to float64, scores of attacked images made of the sources to fit; of
            detectors that were fitted on clean images only, as these have not seen them.
        mixed: Whether it reads paths and the output.
        mistaken: float64, scores of tested clean images that the network gets wrong.
    """

    code: str
    detector: str
    supervised: bool
    fitted_on: str
    threshold: Floats = field(repr=False)
    clean: Floats = field(repr=False)
    altered: Mapping[str, Floats] = field(repr=False)
    fit_altered: Mapping[str, Floats] = field(repr=False, default_factory=dict)
    mixed: bool = False
    mistaken: Floats = field(repr=False, default_factory=lambda: np.zeros(0))

    @property
    def is_baseline(self) -> bool:
        """Whether this is what detectors on paths are to be better than."""
        return self.code != OWN or self.detector in BASELINES


@dataclass(frozen=True, eq=False)
class Trial:
    """One code with its sources divided.

    Attributes:
        code: Name of the code.
        bench: Its images.
        parts: int8 (units,), FIT, THRESHOLD or TEST of each source.
    """

    code: str
    bench: Bench = field(repr=False)
    parts: np.ndarray[tuple[int, ...], np.dtype[np.int8]] = field(repr=False)

    def rows(self, sources: Ints, part: int) -> Bits:
        """Which rows belong to a part: bool (rows,)."""
        return np.asarray(self.parts[sources] == part)

    def clean(self, part: int) -> DetectionData:
        """Clean images of a part."""
        return self.bench.clean.take(self.rows(self.bench.sources, part))

    def mistaken(self) -> Bits:
        """Which clean images that the network gets wrong are tested: bool (mistaken images,).

        All but those of a unit that also holds images to fit or to fix thresholds on.
        """
        alone = np.full(self.bench.wrong_units, TEST, dtype=np.int8)
        parts = np.concatenate([self.parts, alone])
        return np.asarray(parts[self.bench.mistaken_sources] == TEST)

    def altered(self, cell: Cell, part: int) -> DetectionData:
        """Images of an altered set that were made of sources of a part."""
        return cell.data.take(self.rows(cell.sources, part))

    def failed(self, cell: Cell, part: int) -> int:
        """How many attacks on sources of a part failed."""
        return int(self.rows(cell.failed, part).sum())


@dataclass(frozen=True)
class Plan:
    """One fit: of which detector, on which attacks, and the attacks to test it on."""

    detector: Detector
    fitted_on: str
    fit_on: tuple[str, ...]
    tested: tuple[str, ...]


def plans(trial: Trial, detectors: Sequence[Detector]) -> list[Plan]:
    """All fits: once on clean images; of supervised ones on each attack, on all, on all but a family."""
    attacks = {
        name: family
        for name, family in trial.bench.families.items()
        if trial.rows(trial.bench.cells[name].sources, FIT).any()
    }
    everything = tuple(trial.bench.cells)
    found: list[Plan] = []
    for detector in detectors:
        if not detector.supervised:
            found.append(Plan(detector, ON_CLEAN, (), everything))
        elif attacks:
            found += _supervised_plans(detector, attacks, everything)
    return found


def _supervised_plans(
    detector: Detector, attacks: Mapping[str, str], everything: tuple[str, ...]
) -> list[Plan]:
    every = tuple(attacks)
    found = [Plan(detector, ON_ALL, every, everything)]
    found += [Plan(detector, name, (name,), every) for name in every]
    for family in dict.fromkeys(attacks.values()):
        others = tuple(x for x in every if attacks[x] != family)
        if others:
            tested = tuple(x for x in every if attacks[x] == family)
            found.append(Plan(detector, ON_OTHERS, others, tested))
    return found


def scored(trial: Trial, plan: Plan) -> Scored:
    """Fit as planned and score all that is tested.

    Raises:
        PathLensError: If the detector cannot be fitted on what was recorded.
    """
    bench = trial.bench
    attacked = [trial.altered(bench.cells[name], FIT) for name in plan.fit_on]
    fitted = plan.detector.fit(trial.clean(FIT), joined(attacked) if attacked else None)
    return Scored(
        code=trial.code,
        detector=plan.detector.name,
        supervised=plan.detector.supervised,
        fitted_on=plan.fitted_on,
        threshold=finite_scores(fitted, trial.clean(THRESHOLD), plan.detector.name),
        clean=finite_scores(fitted, trial.clean(TEST), plan.detector.name),
        altered=_scores_of(trial, plan, fitted, plan.tested, TEST),
        mixed=isinstance(plan.detector, Combined),
        mistaken=finite_scores(fitted, bench.mistaken.take(trial.mistaken()), plan.detector.name),
        fit_altered={}
        if plan.fit_on
        else _scores_of(trial, plan, fitted, tuple(bench.attacks), FIT),
    )


def _scores_of(
    trial: Trial, plan: Plan, fitted: Fitted, names: Sequence[str], part: int
) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    for name in names:
        data = trial.altered(trial.bench.cells[name], part)
        found[name] = finite_scores(fitted, data, plan.detector.name)
    return found


def finite_scores(fitted: Fitted, data: DetectionData, name: str) -> Floats:
    """Scores of some images, float64 (images,); none are asked for where there are no images.

    Raises:
        PathLensError: If a score is not a number.
    """
    if not len(data):
        return np.zeros(0)
    scores = np.asarray(fitted.score(data), dtype=np.float64)
    strange = int(np.sum(~np.isfinite(scores)))
    if strange:
        raise PathLensError(
            f"The detector {name!r} gave {strange:,} of {len(scores):,} images no finite score: "
            "leave it out, or smooth what it estimates."
        )
    return scores


def all_scored(
    trial: Trial, detectors: Sequence[Detector], notes: list[str], progress: bool = False
) -> Iterator[Scored]:
    """Scores of all fits of one code; a detector that cannot be fitted is noted and left out.

    Args:
        trial: The code and its divided sources.
        detectors: The detectors; those on the output run on the network's own recording only.
        notes: Takes a sentence for every detector that was left out.
        progress: Whether to show a progress bar.
    """
    fitting = [x for x in detectors if trial.code == OWN or x.name not in BASELINES]
    for plan in progress_bar(
        plans(trial, fitting), desc=f"detectors on {trial.code}", shown=progress
    ):
        try:
            yield scored(trial, plan)
        except PathLensError as error:
            note = f"{plan.detector.name} on {trial.code}: {str(error).rstrip('.')}"
            if note not in notes:
                notes.append(note)
