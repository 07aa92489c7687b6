"""Ablating combinations and random sets like them, and what the read-outs of concepts say then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from pathlens.analysis.associating.trial import all_on
from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.probing.ablation_controls import matched_sets
from pathlens.probing.combination_questions import Question
from pathlens.probing.feature_bench import Ablation, FeatureBench
from pathlens.probing.read_out import ReadOut
from pathlens.progress import progress_bar

LOG_ODDS, PROBABILITY, ACCURACY = range(3)
"""What may change: log odds of the concept, probability of the predicted class, being right."""

_TOTAL, _DIRECT, _RANDOM = 0, 1, 2
_MEASURES = 3


@dataclass(frozen=True)
class Trial:
    """A combination, random sets like it, and what came of ablating each.

    Attributes:
        question: What is asked.
        has: bool (images,), the measured images have the concept.
        taking: bool (images,), all filters of the combination are on for them.
        sets: Filters of each random set, rising.
        log_odds: float64 (images,), of the read-out on the own paths.
        rates: float64 (filters of the layer,), on-rates among the images with the concept.
        norms: float64 (filters of the layer,), mean contributions among them.
        changes: float64 (2 + sets, images, measures), ablated less own: of the combination (later
            gates decided anew, then all other gates kept), then of every random set.
    """

    question: Question
    has: Bits = field(repr=False)
    taking: Bits = field(repr=False)
    sets: tuple[Ints, ...] = field(repr=False)
    log_odds: Floats = field(repr=False)
    rates: Floats = field(repr=False)
    norms: Floats = field(repr=False)
    changes: Floats = field(repr=False)

    @property
    def total(self) -> Floats:
        """Changes by the combination, later gates decided anew: (images, measures)."""
        return np.asarray(self.changes[_TOTAL])

    @property
    def direct(self) -> Floats:
        """Changes by the combination, all other gates kept: (images, measures)."""
        return np.asarray(self.changes[_DIRECT])

    @property
    def random(self) -> Floats:
        """Changes by random sets, later gates decided anew: (sets, images, measures)."""
        return np.asarray(self.changes[_RANDOM:])

    def ablations(self) -> list[Ablation]:
        """What is ablated, in the order of `changes`."""
        layer, own = self.question.layer.name, tuple(self.question.filters.tolist())
        others = [Ablation(layer, tuple(x.tolist())) for x in self.sets]
        return [Ablation(layer, own), Ablation(layer, own, direct=True), *others]


@dataclass(frozen=True)
class Measured:
    """The measured images of all questions, before anything is ablated.

    Attributes:
        bench: The images and their network.
        rows: int64 (images,), rows of the recording, rising.
        labels: int64 (images,), true classes.
        read_outs: Concept to its read-out.
    """

    bench: FeatureBench
    rows: Ints
    labels: Ints
    read_outs: Mapping[str, ReadOut]

    def places(self, question: Question) -> Ints:
        """Positions of a question's images."""
        return np.searchsorted(self.rows, question.images.measured).astype(np.int64)

    def trial(self, question: Question, count: int, seed: int) -> Trial:
        """Draw random sets for a question; nothing has changed yet.

        The sets are like the combination among the images with the concept, where both are
        measured. A combination that goes with the concept is on more often there than elsewhere:
        sets matched over all images would be off where it is on, and do less for that reason alone.

        Args:
            question: What is asked.
            count: Number of random sets, if there are so many.
            seed: Draws them, whatever else is asked.
        """
        layer, filters, has = question.layer, question.filters, question.images.has
        places = self.places(question)
        gates = self.bench.gates[layer.name][places]
        rates = gates[has].mean(axis=0)
        norms = self.bench.contributions[layer.name][places][has].mean(axis=0, dtype=np.float64)
        rng = np.random.default_rng([seed, layer.index, *filters, crc32(question.concept.encode())])
        found = matched_sets(
            {layer.name: filters}, {layer.name: rates}, {layer.name: norms}, count, rng
        )
        sets = tuple(drawn[layer.name] for drawn in found)
        return Trial(
            question=question,
            has=has,
            taking=all_on(gates, filters),
            sets=sets,
            log_odds=self.read_outs[question.concept].log_odds(self.bench.features[places]),
            rates=rates,
            norms=norms,
            changes=np.zeros((_RANDOM + len(sets), len(places), _MEASURES)),
        )

    def run(self, trials: Sequence[Trial], *, progress: bool) -> None:
        """Ablate what the trials ask for, each set once, and write down their changes."""
        users: dict[Ablation, list[tuple[int, int]]] = {}
        for number, trial in enumerate(trials):
            for slot, one in enumerate(trial.ablations()):
                users.setdefault(one, []).append((number, slot))
        ablations = list(users)
        asked = [self.places(trial.question) for trial in trials]
        wanted = [
            self._changing(one, np.unique(np.concatenate([asked[n] for n, _ in users[one]])))
            for one in ablations
        ]
        total = sum(map(len, wanted))
        with progress_bar(total=total, desc="combinations", unit="image", shown=progress) as bar:
            for which, places, features, scores in self.bench.ablated(ablations, wanted):
                prediction = self._prediction_changes(places, scores)
                for number, slot in users[ablations[which]]:
                    there, here = _common(asked[number], places)
                    trial = trials[number]
                    read_out = self.read_outs[trial.question.concept]
                    after = read_out.log_odds(features[here])
                    trial.changes[slot, there, LOG_ODDS] = after - trial.log_odds[there]
                    trial.changes[slot, there, PROBABILITY:] = prediction[here]
                bar.update(len(places))

    def _changing(self, ablation: Ablation, places: Ints) -> Ints:
        """Those of some images that have any of the filters on; others stay as they are."""
        on = self.bench.gates[ablation.layer][places][:, ablation.filters]
        return np.asarray(places[on.any(axis=1)])

    def _prediction_changes(self, places: Ints, scores: Floats) -> Floats:
        """Change of the predicted class's probability, and of being right: (images, 2).

        Of an image without a label nobody knows whether it is right: NaN.
        """
        before, labels = self.bench.scores[places], self.labels[places]
        predicted, each = before.argmax(axis=1), np.arange(len(places))
        probability = (_softmax(scores) - _softmax(before))[each, predicted]
        right = (scores.argmax(axis=1) == labels).astype(np.float64) - (predicted == labels)
        return np.stack([probability, np.where(labels < 0, np.nan, right)], axis=1)


def _common(one: Ints, other: Ints) -> tuple[Ints, Ints]:
    """Positions in two rising lists of what is in both."""
    _, left, right = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    return left, right


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
