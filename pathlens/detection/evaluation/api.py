"""`evaluate`: detectors on clean, benign and attacked images, on sources that they have not seen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.analysis.baselines import OWN
from pathlens.analysis.results import join_notes, plural
from pathlens.analysis.source import Bits, Ints, PathData
from pathlens.detection.detectors.base import Detector
from pathlens.detection.evaluation.cells import (
    CLEAN,
    MISCLASSIFIED,
    Bench,
    bench_of_code,
    read_bench,
)
from pathlens.detection.evaluation.choosing import Choice, choose, choose_supervised
from pathlens.detection.evaluation.combined import (
    COLUMNS as COMBINED_COLUMNS,
)
from pathlens.detection.evaluation.combined import combinations, combined_rows
from pathlens.detection.evaluation.depth import DEPTH_COLUMNS, crossing_frame, depth_tables
from pathlens.detection.evaluation.few import COLUMNS as FEW_COLUMNS
from pathlens.detection.evaluation.few import all_rows, few_rows
from pathlens.detection.evaluation.fitting import (
    ON_ALL,
    ON_CLEAN,
    ON_OTHERS,
    ON_THIS,
    Trial,
    all_scored,
)
from pathlens.detection.evaluation.leave_one_out import attack_matrix
from pathlens.detection.evaluation.lines import Line, main_lines, with_differences
from pathlens.detection.evaluation.matching import confidence_matches
from pathlens.detection.evaluation.metrics import Resamples
from pathlens.detection.evaluation.repeats import repeated_rows, spread_frame
from pathlens.detection.evaluation.result import Evaluation
from pathlens.detection.evaluation.splits import FIT, TEST, THRESHOLD, Shares, split_sources
from pathlens.detection.evaluation.table import Tables, twins_of
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec

Baselines = Mapping[str, tuple[PathData, Mapping[str, PathData]]]

_RESERVED = {CLEAN, MISCLASSIFIED, ON_CLEAN, ON_ALL, ON_OTHERS, ON_THIS}


def evaluate(
    clean: PathData,
    altered: Mapping[str, PathData],
    *,
    benign: Collection[str] = (),
    families: Mapping[str, str] | None = None,
    detectors: Sequence[str | Detector] | None = None,
    baselines: Baselines | None = None,
    layers: Iterable[LayerSpec] | None = None,
    shares: Shares | None = None,
    few: Sequence[int] = (1, 5, 10),
    few_draws: int = 3,
    seed: int = 0,
    seeds: int = 1,
    bootstrap: int = 1000,
    progress: bool = True,
) -> Evaluation:
    """Hold detectors against altered images of sources that they were not fitted on.

    Sources (clean images with all that was made of them; where the clean recording has groups, whole
    groups) are divided into those to fit on, those whose clean images fix thresholds, and those
    tested. Only clean images that the network gets right count, and of attacked ones those on which
    the attack succeeded. The clean side of an area is all tested clean images, that of `auroc_twins`
    only those that the attacked images were made of. Clean images that the network gets wrong fix no
    threshold, but stand in a row of their own.

    Args:
        clean: Recording of clean, labelled images.
        altered: Name of each altered set to its recording, of the same checkpoint; its `source_image`
            is the id of the clean image. Several strengths of an attack are several sets.
        benign: Names of the sets that are benign controls; the others are attacks.
        families: Altered set to its family; a supervised detector that is tested on an attack it has
            not seen was fitted on nothing of its family. What is not named is of the family that its
            own name tells: without strength, norm, "-jpeg", "-transfer" and "-soft", all of
            "adaptive-..." together.
        detectors: Detectors or their names; all that are registered for None.
        baselines: Name of each other code to its recordings of the same images: clean ones, and the
            altered sets. Every detector on paths runs on it too.
        layers: Layers that detectors see, by number, name or glob; all for None.
        shares: How the sources are shared out.
        few: Numbers of images a class to fit on as well; none for an empty one. Supervised detectors
            need 2 at least.
        few_draws: How often few images are drawn.
        seed: Seed of the split, the bootstrap and the draws.
        seeds: How many splits, from this seed on; those after the first say how areas spread.
        bootstrap: Bootstrap samples; 0 for no intervals.
        progress: Whether to show progress bars.

    Raises:
        PathLensError: If labels, predictions or source images are missing, recordings do not belong
            together, there are too few images, no attack succeeded, or no detector could be fitted.
    """
    _require_sets(altered, benign, "could be a benign control")
    _require_sets(altered, families or {}, "could be of a family")
    _require_names(altered, baselines or {}, seeds, bootstrap)
    chosen_layers = None if layers is None else list(layers)
    bench = read_bench(clean, altered, benign, chosen_layers, families)
    splits = _splits(bench, seed, seeds, shares or Shares())
    work = _Work(
        detectors=_detectors(detectors),
        splits=splits,
        resamples=_resamples(bench, splits[0] == TEST, bootstrap, seed),
        few=tuple(few),
        few_draws=few_draws,
        seed=seed,
        progress=progress,
    )
    work.run(OWN, bench)
    for name, (code, sets) in (baselines or {}).items():
        work.run(name, bench_of_code(bench, name, code, sets, chosen_layers))
    return work.result(bench)


@dataclass(eq=False)
class _Work:
    """What is collected while one code after the other is read, fitted and scored."""

    detectors: Sequence[Detector]
    splits: Sequence[npt.NDArray[np.int8]]
    resamples: Resamples
    few: tuple[int, ...]
    few_draws: int
    seed: int
    progress: bool
    lines: list[Line] = field(default_factory=list)
    matched: list[dict[str, Any]] = field(default_factory=list)
    few_found: list[dict[str, Any]] = field(default_factory=list)
    depth: list[dict[str, Any]] = field(default_factory=list)
    crossings: list[dict[str, Any]] = field(default_factory=list)
    repeated: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    choice: Choice = field(default_factory=lambda: Choice("", ""))

    def run(self, code: str, bench: Bench) -> None:
        """All that is said of one code."""
        trial = Trial(code, bench, self.splits[0])
        fitted = list(all_scored(trial, self.detectors, self.notes, self.progress))
        found = list(fitted)
        if code == OWN:
            if not fitted:
                raise PathLensError(
                    f"No detector could be fitted: {join_notes(self.notes) or 'none was given'}."
                )
            best = choose_supervised(trial, self.detectors, fitted, self.seed)
            self.choice = replace(choose(fitted), supervised=best)
            found += combinations(fitted, self.choice)
        tables = Tables(trial, self.resamples, twins_of(trial), confidence_matches(trial))
        self.lines += [line for one in found for line in tables.lines(one)]
        self.matched += [row for one in found for row in tables.matched_rows(one)]
        if self.few:
            draws = (self.few, self.few_draws, self.seed)
            self.few_found += few_rows(trial, self.detectors, *draws, self.notes)
            self.few_found += all_rows(trial, fitted)
        rows, crossings = depth_tables(trial, self.resamples)
        self.depth += rows
        self.crossings += crossings
        if len(self.splits) > 1:
            trials = [Trial(code, bench, parts) for parts in self.splits]
            self.repeated += repeated_rows(
                trials, fitted, self.detectors, self.notes, self.progress
            )

    def result(self, bench: Bench) -> Evaluation:
        """All tables."""
        parts = self.splits[0][bench.sources]
        return Evaluation(
            frame=with_differences(main_lines(self.lines)),
            matrix=attack_matrix(self.lines, bench.families),
            few=pd.DataFrame(self.few_found, columns=list(FEW_COLUMNS)),
            matched=pd.DataFrame(self.matched),
            depth=pd.DataFrame(self.depth, columns=list(DEPTH_COLUMNS)),
            crossings=crossing_frame(self.crossings),
            combined=pd.DataFrame(
                combined_rows(self.lines, self.choice, OWN), columns=list(COMBINED_COLUMNS)
            ),
            spread=spread_frame(self.repeated),
            choice=self.choice,
            split={
                name: int((parts == part).sum())
                for name, part in (("fit", FIT), ("threshold", THRESHOLD), ("test", TEST))
            },
            classes=bench.clean.classes,
            left_out=join_notes([*_notes(bench, self.matched), *self.notes]),
        )


def _splits(bench: Bench, seed: int, seeds: int, shares: Shares) -> list[npt.NDArray[np.int8]]:
    """FIT, THRESHOLD or TEST of each unit, one array a seed."""
    labels, patterns = _units(bench)
    return [split_sources(labels, patterns, seed + x, shares) for x in range(seeds)]


def _resamples(bench: Bench, tested: Bits, samples: int, seed: int) -> Resamples:
    """Samples of tested units, and apart from them of units without an image that is right."""
    wrong = Resamples.draw(np.ones(bench.wrong_units, dtype=np.bool_), samples, seed)
    return Resamples.draw(tested, samples, seed).beside(wrong)


def _units(bench: Bench) -> tuple[Ints, Ints]:
    """Class of each unit, and which sets hold images made of it as a number, 0 for none."""
    labels = np.zeros(bench.units, dtype=np.int64)
    labels[bench.sources] = bench.clean.images["label"].to_numpy(dtype=np.int64)
    held = np.zeros((bench.units, len(bench.cells)), dtype=np.int64)
    for column, cell in enumerate(bench.cells.values()):
        held[cell.sources, column] = 1
        held[cell.failed, column] = 1
    patterns = np.unique(held, axis=0, return_inverse=True)[1].reshape(-1) + 1
    return labels, np.where(held.any(axis=1), patterns, 0).astype(np.int64)


def _notes(bench: Bench, matched: Sequence[Mapping[str, Any]]) -> list[str]:
    wrong, strangers = bench.wrong, sum(cell.strangers for cell in bench.cells.values())
    notes = [
        f"{plural(wrong, 'clean image')} that the network gets wrong, but for rows of their own"
        if wrong
        else "",
        f"{plural(strangers, 'altered image')} made of these" if strangers else "",
    ]
    empty = [name for name, cell in bench.cells.items() if not len(cell.data)]
    notes += [f"{name}, of which no image succeeded" for name in empty]
    if not matched:
        return [*notes, "matched confidence, as confidence was not recorded"]
    own = {row["altered"]: row for row in matched if row["code"] == OWN}
    notes += [
        f"at matched {row['matched_on']} {1 - row['matched_share']:.0%} of {name}, as no clean image "
        "is like it"
        for name, row in own.items()
        if row["matched_share"] <= 0.995
    ]
    return notes


def _detectors(given: Sequence[str | Detector] | None) -> list[Detector]:
    if given is None:
        from pathlens.detection.detectors.registry import DETECTORS

        return list(DETECTORS.values())
    return [_found(x) if isinstance(x, str) else x for x in given]


def _found(name: str) -> Detector:
    from pathlens.detection.detectors.registry import find_detector

    return find_detector(name)


def _require_sets(altered: Mapping[str, PathData], named: Collection[str], what: str) -> None:
    strange = sorted(set(named) - set(altered))
    if strange:
        raise PathLensError(
            f"There is no altered set {strange[0]!r} that {what}: the sets are {', '.join(altered)}."
        )


def _require_names(
    altered: Mapping[str, PathData], baselines: Baselines, seeds: int, bootstrap: int
) -> None:
    taken = sorted((_RESERVED & set(altered)) | ({OWN} & set(baselines)))
    if taken:
        raise PathLensError(f"Nothing may be called {taken[0]!r}, tables use it: rename it.")
    if seeds < 1 or bootstrap < 0:
        raise PathLensError(
            f"seeds is {seeds} and bootstrap {bootstrap}: give at least 1 and at least 0."
        )
