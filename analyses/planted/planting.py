"""Worlds with planted combinations: which rates, which correlations, which classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from rates import LAYERS, layer_rates
from scipy.optimize import brentq
from scipy.special import expit, logit
from worlds import Concept, World, comonotone

Array = npt.NDArray[Any]
MEMBER_RATES = (0.2, 0.7)
DRAWN_RATES = (0.05, 0.95)
DISTRACTORS = ((0.7, 0.7), (0.3, 0.7))
"""Correlation of each distractor of a member with it, drawn between these ends."""
BLOCK, BLOCK_LOYALTY = 8, (0.3, 0.9)
CLASS_SHIFT = 1.0
"""Standard deviation over classes of the log odds of what goes with the class."""


@dataclass(frozen=True)
class Ground:
    """A world without concepts, and the sets in which concepts can be planted.

    Attributes:
        world: The world.
        sets: Disjoint sets of filters with rates from 0.2 to 0.7.
        distractors: Of each member the filters that are correlated with it.
        by_class: bool (filters,), whether the rate depends on the class.
    """

    world: World
    sets: tuple[tuple[int, ...], ...]
    distractors: dict[int, tuple[int, ...]]
    by_class: Array


def marginal_rates(kind: str, filters: int, rng: np.random.Generator) -> Array:
    """Rates of filters: "drawn" evenly from 0.05 to 0.95, or of the first ones of a trained layer."""
    if kind in LAYERS:
        return layer_rates(kind)[:filters]
    return rng.uniform(*DRAWN_RATES, filters)


def ground(
    rates: Array,
    sizes: Sequence[int],
    rng: np.random.Generator,
    *,
    classes: int = 1,
    share_by_class: float = 0.5,
    shift: float = CLASS_SHIFT,
    per_member: int = len(DISTRACTORS),
) -> Ground:
    """Choose members and distractors among filters and say what goes with the class.

    Each member has distractors, the filters with the rates nearest to its own, which go by the
    member's number so often that their correlation with it (within classes) is 0.7 for the first and
    between 0.3 and 0.7 for the second, or as near to that as the rates allow. All other filters are in
    blocks of eight.

    Args:
        rates: (filters,), chance to be on over all classes.
        sizes: Of the sets of members.
        rng: Source of chance.
        classes: Number of classes; 1 for none.
        share_by_class: Chance of each filter to go with the class.
        shift: Standard deviation over classes of the log odds of a filter's rate.
        per_member: Distractors of each member, 2 at most.
    """
    free = rng.permutation(np.flatnonzero(_between(rates, MEMBER_RATES))).tolist()
    sets = tuple(tuple(sorted(free.pop() for _ in range(size))) for size in sizes)
    members = [one for those in sets for one in those]
    distractors = _nearest(rates, members, per_member)
    group, loyalty = _groups(rates, members, distractors, rng)
    by_class = (rng.random(len(rates)) < share_by_class) & (classes > 1) & _between(rates, (0, 1))
    table = np.tile(rates, (classes, 1))
    for one in np.flatnonzero(by_class):
        table[:, one] = shifted(rates[one], classes, shift, rng)
    return Ground(World(table, group, loyalty), sets, distractors, by_class)


def shifted(rate: float, classes: int, shift: float, rng: np.random.Generator) -> Array:
    """Rates of classes with this mean, whose log odds have exactly this standard deviation."""
    by_chance = rng.standard_normal(classes)
    odds = shift * (by_chance - by_chance.mean()) / by_chance.std()
    centre = brentq(lambda x: float(expit(x + odds).mean()) - rate, -40, 40)
    return np.asarray(expit(centre + odds))


def planted(
    world: World, name: str, members: tuple[int, ...], phi: float, rates: Array, *, within: bool
) -> Concept:
    """A concept that goes with a combination at exactly this phi.

    Args:
        world: The world it is planted in.
        name: Its name.
        members: The combination.
        phi: Over all images, or within classes.
        rates: (classes,), chance of the concept that does not come from the filters.
        within: Whether phi is that within classes.

    Raises:
        ValueError: If classes alone give a greater phi.
    """

    def missing(strength: float) -> float:
        one = replace(world, concepts=(Concept(name, members, strength, rates),))
        reached: Callable[..., float] = one.phi_within if within else one.phi
        return reached(members, name) - phi

    return Concept(name, members, float(brentq(missing, 0.0, 1.0, xtol=1e-12)), rates)


def other_rate(world: World, members: tuple[int, ...], rng: np.random.Generator) -> float:
    """Chance of a concept that does not come from the filters: half to twice the combination's odds."""
    return float(expit(logit(world.on(members).mean()) + np.log(2) * rng.uniform(-1, 1)))


def _between(rates: Array, ends: tuple[float, float]) -> Array:
    return np.asarray((rates > ends[0]) & (rates < ends[1]))


def _nearest(rates: Array, members: Sequence[int], each: int) -> dict[int, tuple[int, ...]]:
    free = set(np.flatnonzero(_between(rates, (0, 1))).tolist()) - set(members)
    chosen = {}
    for member in members:
        ordered = sorted(free, key=lambda one: abs(rates[one] - rates[member]))
        chosen[member] = tuple(ordered[:each])
        free -= set(chosen[member])
    return chosen


def _groups(
    rates: Array,
    members: Sequence[int],
    distractors: dict[int, tuple[int, ...]],
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Group and loyalty of every filter: a group for each member, then blocks."""
    group = np.full(len(rates), -1)
    loyalty = rng.uniform(*BLOCK_LOYALTY, len(rates))
    for number, member in enumerate(members):
        group[[member, *distractors[member]]] = number
        loyalty[member] = 1.0
        for one, ends in zip(distractors[member], DISTRACTORS, strict=False):
            wanted = rng.uniform(*ends) / comonotone(rates[one], rates[member])
            loyalty[one] = min(wanted, 1.0)
    rest = rng.permutation(np.flatnonzero(group < 0))
    group[rest] = len(members) + np.arange(len(rest)) // BLOCK
    return group, loyalty
