"""Recordings drawn from a known world, and what holds in that world exactly.

A `World` is a generating model of classes, filters and concepts. `World.draw` makes a recording of it;
`World.covariance` and `World.phi` say without drawing how a combination and a concept go together, so
that whether a claim is true is a matter of arithmetic and not of a sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.layers import Layer, LayerSpec, LayerTable

Array = npt.NDArray[Any]
LAYER = "planted"
INDEPENDENT = 1e-9
"""A covariance of at most this is rounding: combination and concept are independent."""


@dataclass(frozen=True)
class MemoryRecording:
    """What `pathlens.analysis` reads of a recording, in memory: one layer.

    Attributes:
        on: bool (images, filters), gates.
        images: A row an image: `image` and, where classes are known, `label`.
        classes: Class names.
        table: Columns image, concept, value.
    """

    on: Array = field(repr=False)
    images: pd.DataFrame = field(repr=False)
    classes: tuple[str, ...]
    table: pd.DataFrame = field(repr=False)

    @property
    def layers(self) -> LayerTable:
        """The one layer."""
        return LayerTable([Layer(1, LAYER, self.on.shape[1])])

    def bits(self, layer: LayerSpec) -> Array:
        """Gates of the layer."""
        self.layers.find(layer)
        return self.on

    def concepts(self) -> pd.DataFrame:
        """The concept table."""
        return self.table


@dataclass(frozen=True)
class Concept:
    """A property of images.

    Attributes:
        name: Its name.
        members: Filters of its combination; empty if no filter has to do with it.
        strength: Chance that an image has it just if all members are on.
        rates: (classes,), chance of having it otherwise, whatever the filters.
    """

    name: str
    members: tuple[int, ...]
    strength: float
    rates: Array = field(repr=False)


@dataclass(frozen=True)
class World:
    """Where images come from.

    An image's class is drawn evenly, or there is one class only. For each group of filters the image
    has a number between 0 and 1, and for each filter another, all even and independent. A filter is on
    where its number is below its rate in the class; its number is the group's with the chance
    `loyalty`, else its own. Filters of different groups are so independent within classes.

    Attributes:
        rates: (classes, filters), chance to be on.
        group: int (filters,), number of each filter's group, from 0.
        loyalty: (filters,), chance to go by the group's number.
        concepts: The concepts.
    """

    rates: Array = field(repr=False)
    group: Array = field(repr=False)
    loyalty: Array = field(repr=False)
    concepts: tuple[Concept, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether there are classes, which are then concepts too."""
        return len(self.rates) > 1

    def concept(self, name: str) -> Concept:
        """The concept of that name."""
        return next(one for one in self.concepts if one.name == name)

    def draw(self, images: int, rng: np.random.Generator) -> MemoryRecording:
        """A recording of so many images."""
        classes, filters = self.rates.shape
        labels = rng.integers(0, classes, images)
        common = rng.random((images, int(self.group.max()) + 1), dtype=np.float32)[:, self.group]
        own = rng.random((images, filters), dtype=np.float32)
        loyal = rng.random((images, filters), dtype=np.float32) < self.loyalty
        on = np.where(loyal, common, own) < self.rates[labels]
        has = [_had(one, on, labels, rng) for one in self.concepts]
        return _recording(on, labels if self.labelled else None, classes, self.concepts, has)

    def on(self, filters: Iterable[int]) -> Array:
        """Chance of each class that all of some filters are on: (classes,)."""
        chances = np.ones(len(self.rates))
        members = np.array(sorted(set(filters)), dtype=np.int64)
        for group in np.unique(self.group[members]):
            chances = chances * self._on_in_group(members[self.group[members] == group])
        return chances

    def has(self, concept: str) -> Array:
        """Chance of each class to have a concept of the world, or to be the class: (classes,)."""
        return self.joint((), concept)

    def joint(self, filters: Iterable[int], concept: str) -> Array:
        """Chance of each class that some filters are on and the concept is there: (classes,)."""
        filters = tuple(filters)
        if concept.startswith("class:"):
            own = np.arange(len(self.rates)) == int(concept.removeprefix("class:"))
            return self.on(filters) * own
        one = self.concept(concept)
        together = self.on({*filters, *one.members})
        return one.strength * together + (1 - one.strength) * one.rates * self.on(filters)

    def covariance(self, filters: Iterable[int], concept: str) -> float:
        """Covariance of a combination and a concept; 0 just if they are independent."""
        filters = tuple(filters)
        joint, on, has = self.joint(filters, concept), self.on(filters), self.has(concept)
        return float(joint.mean() - on.mean() * has.mean())

    def phi(self, filters: Iterable[int], concept: str) -> float:
        """Phi of a combination and a concept; 0 where one of them is constant."""
        filters = tuple(filters)
        on, has = self.on(filters).mean(), self.has(concept).mean()
        return _share(self.covariance(filters, concept), _spread(on) * _spread(has))

    def phi_within(self, filters: Iterable[int], concept: str) -> float:
        """Phi of a combination and a concept of the world within classes.

        Correlation of what is left of either when its rate in the class is taken from it.
        """
        filters = tuple(filters)
        on, has = self.on(filters), self.has(concept)
        joint = (self.joint(filters, concept) - on * has).mean()
        return _share(joint, np.sqrt((_spread(on) ** 2).mean() * (_spread(has) ** 2).mean()))

    def goes_with(self, filters: Iterable[int], concept: str) -> bool:
        """Whether images with the concept are really routed more through the combination."""
        return self.covariance(filters, concept) > INDEPENDENT

    def correlation(self, one: int, other: int) -> float:
        """Phi of two filters."""
        both, left, right = (self.on(x).mean() for x in ((one, other), (one,), (other,)))
        return _share(both - left * right, _spread(left) * _spread(right))

    def _on_in_group(self, members: Array) -> Array:
        """The same as `on` for filters of one group: which of them go by its number, case by case."""
        total = np.zeros(len(self.rates))
        for loyal in _subsets(members.tolist()):
            rest = [one for one in members.tolist() if one not in loyal]
            weight = self.loyalty[list(loyal)].prod() * (1 - self.loyalty[rest]).prod()
            lowest = self.rates[:, list(loyal)].min(axis=1) if loyal else 1.0
            total += weight * lowest * self.rates[:, rest].prod(axis=1)
        return total


def comonotone(one: float, other: float) -> float:
    """Phi of two filters of these rates that both go by the same number: the largest there is."""
    return _share(min(one, other) - one * other, _spread(one) * _spread(other))


def members_of(combination: str) -> tuple[int, ...]:
    """The filters of a combination as `associations` writes it."""
    return tuple(int(one) for one in combination.split("+"))


def _had(one: Concept, on: Array, labels: Array, rng: np.random.Generator) -> Array:
    by_filters = rng.random(len(on)) < one.strength
    otherwise = rng.random(len(on)) < one.rates[labels]
    return np.where(by_filters, on[:, list(one.members)].all(axis=1), otherwise)


def _recording(
    on: Array,
    labels: Array | None,
    classes: int,
    concepts: Sequence[Concept],
    has: Sequence[Array],
) -> MemoryRecording:
    names = np.array([f"{i:06d}" for i in range(len(on))])
    # A row without a concept for every image, so that all of them are known.
    rows = [("", names), *((one.name, names[own]) for one, own in zip(concepts, has, strict=True))]
    table = pd.concat(
        [pd.DataFrame({"image": own, "concept": name, "value": 1.0}) for name, own in rows],
        ignore_index=True,
    )
    images = pd.DataFrame({"image": names})
    if labels is not None:
        images["label"] = labels
    known = tuple(str(i) for i in range(classes)) if labels is not None else ()
    return MemoryRecording(on, images, known, table)


def _spread(chance: Any) -> Any:
    # Products of rates 1 may be a hair above it.
    return np.sqrt(np.maximum(chance * (1 - chance), 0))


def _share(part: Any, whole: Any) -> float:
    return float(part / whole) if whole > INDEPENDENT else 0.0


def _subsets(members: Sequence[int]) -> Iterator[tuple[int, ...]]:
    sizes = range(len(members) + 1)
    return chain.from_iterable(combinations(members, size) for size in sizes)
