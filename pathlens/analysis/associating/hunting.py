"""Searching a layer and testing what was found there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pathlens.analysis.associating.beyond_class import class_effects
from pathlens.analysis.associating.class_permutation import (
    PERMUTATION,
    ClassHalves,
    class_permutation_test,
    smallest_p,
)
from pathlens.analysis.associating.code_baselines import beside_baseline
from pathlens.analysis.associating.confirmation import confirm
from pathlens.analysis.associating.gains import gains
from pathlens.analysis.associating.options import Options
from pathlens.analysis.associating.progress import Step, silent
from pathlens.analysis.associating.resampling import Resampling
from pathlens.analysis.associating.search import Found, search_layer
from pathlens.analysis.associating.targets import Targets
from pathlens.analysis.associating.trial import Half, Trial, members_of
from pathlens.analysis.associating.trimming import trimmed
from pathlens.analysis.source import Bits, Floats, Ints, PathData, codes_of, dynamic_columns
from pathlens.errors import PathLensError
from pathlens.layers import Layer


@dataclass(frozen=True)
class Hunted:
    """What one layer gave.

    Attributes:
        filters: Dynamic filters on discovery images.
        candidates: Combinations times concepts that the candidates are the best of.
        visited: Those of them whose images were counted; bounds showed that no other could be best.
        parts: A table of tested candidates for each set of targets.
        baselines: A table of what baselines reach for each set of targets and baseline.
    """

    filters: int
    candidates: int
    visited: int
    parts: list[pd.DataFrame] = field(repr=False)
    baselines: list[pd.DataFrame] = field(repr=False)


@dataclass(frozen=True)
class Hunt:
    """Search and confirmation, the same for every layer.

    Attributes:
        data: The recording.
        discovery: bool (images,), which images are searched.
        targets: The concepts.
        options: How to search and test.
        groups: int64 (images,), group of each image; None where every image stands alone.
        sequences: Whether the images of a group are a sequence.
        baselines: Other codes of the same images, by name.
    """

    data: PathData
    discovery: Bits
    targets: list[Targets]
    options: Options
    groups: Ints | None
    sequences: bool
    baselines: Mapping[str, PathData]

    def layer(self, layer: Layer, step: Step = silent) -> Hunted:
        """Search one layer and test what was found there.

        Args:
            layer: The layer.
            step: Called with the share of the layer's searches that was done since.
        """
        bits, scores = self.data.bits(layer.name), _scores(self.data, layer)
        parts, beside, candidates, visited = [], [], 0, 0
        for number, target in enumerate(self.targets):
            told = self._part_of(step, target)
            trial = self._trial(bits, target, told)
            candidates += trial.found.candidates
            visited += trial.found.visited
            if not len(trial):
                continue
            # By layer, so that its intervals do not depend on which others are looked at.
            rng = np.random.default_rng([self.options.seed, layer.index, number])
            parts.append(self._tested(trial, target, layer, scores, rng))
            beside += self._beside(trial, target, layer, number, told)
        filters = int(dynamic_columns(bits[self.discovery]).sum())
        return Hunted(filters, candidates, visited, parts, beside)

    def class_p(self, layer: Layer, concept: str, candidates: list[Ints]) -> Floats:
        """P of candidates for a concept that is a set of classes: float64 (candidates,)."""
        number, target = next((i, t) for i, t in enumerate(self.targets) if concept in t.spanning)
        bits = self.data.bits(layer.name)
        rows, labels = zip(
            *(
                self._of_known_class(half, target)
                for half in (target.discovery, target.confirmation)
            ),
            strict=True,
        )
        halves = ClassHalves(
            bits[rows[0]], bits[rows[1]], labels[0], labels[1], len(target.classes)
        )
        rng = np.random.default_rng([self.options.seed, layer.index, number, 1])
        return class_permutation_test(
            halves, target.spanning[concept], candidates, self.search, rng
        )

    def _part_of(self, step: Step, target: Targets) -> Step:
        """A step of one search among those of a layer: one for each set of concepts and code."""
        concepts = sum(len(one.names) for one in self.targets)
        codes = 1 + len(self.baselines)
        return lambda share: step(share * len(target.names) / concepts / codes)

    def search(self, bits: Bits, concepts: Bits, step: Step = silent) -> Found:
        """The candidates that are taken to confirmation."""
        options = self.options
        found = search_layer(
            bits,
            concepts,
            max_size=options.max_size,
            top=options.top,
            quality=options.quality,
            min_support=options.min_support,
            beam=options.beam,
            step=step,
        )
        return trimmed(found, bits, concepts)

    def _trial(self, bits: Bits, target: Targets, step: Step) -> Trial:
        first, second = bits[target.discovery], bits[target.confirmation]
        found = self.search(first, target.found, step)
        return Trial(Half(first, target.found), Half(second, target.tested), found)

    def _of_known_class(self, rows: Ints, target: Targets) -> tuple[Ints, Ints]:
        """Images of known class, and their places in the classes of the targets."""
        labels = codes_of(self.data, "label", rows)
        known = labels >= 0
        return rows[known], np.searchsorted(target.classes, labels[known]).astype(np.int64)

    def _resampling(self, target: Targets) -> Resampling:
        groups = None
        if self.groups is not None:
            inside = self.groups[target.confirmation]
            groups = np.unique(inside, return_inverse=True)[1].astype(np.int64)
        return Resampling(groups, self.options.resamples)

    def _tested(
        self,
        trial: Trial,
        target: Targets,
        layer: Layer,
        scores: Floats | None,
        rng: np.random.Generator,
    ) -> pd.DataFrame:
        resampling = self._resampling(target)
        frame = _named(trial, target, layer)
        confirmed = confirm(trial, resampling, rng, sequences=self.sequences)
        inside = None if scores is None else scores[target.confirmation]
        rivals = gains(trial, inside, resampling, rng)
        effects = class_effects(trial, *self._asked(frame, target))
        table = pd.concat([frame, confirmed, rivals, effects], axis="columns")
        return _set_aside_class_sets(table, target)

    def _asked(self, frame: pd.DataFrame, target: Targets) -> tuple[Ints | None, Bits]:
        """Labels, and which candidates are held against the class."""
        labels = codes_of(self.data, "label", target.confirmation)
        # The exact test within classes takes images as independent.
        able = not target.of_classes and self.groups is None and bool((labels >= 0).any())
        varies = ~frame["concept"].isin(list(target.class_sets)).to_numpy()
        return (labels if able else None), np.asarray(varies & able)

    def _beside(
        self, trial: Trial, target: Targets, layer: Layer, number: int, step: Step
    ) -> list[pd.DataFrame]:
        frame = _named(trial, target, layer)[["layer", "name", "combination", "concept"]]
        resampling = self._resampling(target)
        tables = []
        for place, (name, code) in enumerate(self.baselines.items()):
            rng = np.random.default_rng([self.options.seed, layer.index, number, 2, place])
            other = self._trial(code.bits(layer.name), target, step)
            reached = beside_baseline(trial, other, resampling, rng)
            tables.append(pd.concat([frame.assign(baseline=name), reached], axis="columns"))
        return tables


def _scores(data: PathData, layer: Layer) -> Floats | None:
    """What the gates of a layer were decided from; None where that was not recorded."""
    read = getattr(data, "scores", None)
    if read is None:
        return None
    try:
        scores: Floats = read(layer.name)
    except PathLensError:
        return None
    return scores


def _named(trial: Trial, target: Targets, layer: Layer) -> pd.DataFrame:
    """Layer, combination and concept of every candidate, and what it promised."""
    found = trial.found
    return pd.DataFrame(
        {
            "layer": layer.index,
            "name": layer.name,
            "combination": [
                "+".join(str(i) for i in members_of(found, row)) for row in range(len(found))
            ],
            "concept": [target.names[i] for i in found.concept],
            "phi_discovery": found.phi,
        }
    )


def _set_aside_class_sets(table: pd.DataFrame, target: Targets) -> pd.DataFrame:
    """Take p over images from concepts that are sets of classes: theirs is found later."""
    for concept, own in target.spanning.items():
        rows = table["concept"] == concept
        table.loc[rows, ["p", "p_smallest"]] = np.nan, smallest_p(own)
        table.loc[rows, "test"] = PERMUTATION
    return table
