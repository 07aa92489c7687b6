"""Specialists: filters that run in few classes only, and how many of them chance makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.analysis.counts import bit_chunks, bit_class_counts
from pathlens.analysis.source import Bits, Ints, PathData
from pathlens.analysis.states.filter_states import most_when_mute, state_codes
from pathlens.layers import Layer

Codes = npt.NDArray[np.integer]
_MUTE = 0


@dataclass(frozen=True)
class Rule:
    """When a filter is a specialist: classes have `sizes` images."""

    sizes: Ints
    tolerance: float
    most_classes: int

    def states(self, on: Ints) -> npt.NDArray[np.int8]:
        """Positions in `STATES`: int8 (classes, filters)."""
        return state_codes(on, self.sizes[:, None], self.tolerance)

    def runs(self, on: Ints) -> npt.NDArray[np.bool_]:
        """Whether a filter is other than mute in a class: bool (classes, filters)."""
        return np.asarray(self.states(on) != _MUTE)

    def special(self, runs: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Which filters are specialists: bool (filters,)."""
        classes = runs.sum(axis=0)
        return np.asarray((classes > 0) & (classes <= self.most_classes))

    def possible(self, on: Ints) -> npt.NDArray[np.bool_]:
        """Which filters can be specialists under any labels, from their images with the gate on."""
        mute = np.maximum(most_when_mute(self.sizes, self.tolerance), 0)
        room = np.sort(self.sizes - mute)[::-1][: self.most_classes].sum()
        total = on.sum(axis=0)
        return np.asarray((total > 0) & (total <= mute.sum() + room))


def random_deals(codes: Codes, seed: int, permutations: int) -> Codes:
    """The known codes in random order, once a permutation: (permutations, images)."""
    rng = np.random.default_rng(seed)
    known = codes >= 0
    deals = np.repeat(codes[None], permutations, axis=0)
    for deal in deals:
        deal[known] = rng.permutation(codes[known])
    return deals


def special_by_chance(
    data: PathData, layer: Layer, on: Ints, deals: Codes, rule: Rule
) -> npt.NDArray[np.bool_]:
    """Which filters are specialists under each permutation: bool (permutations, filters).

    Only the filters that are on for few enough images are looked at again.
    """
    special = np.zeros((len(deals), layer.filters), dtype=np.bool_)
    possible = np.flatnonzero(rule.possible(on))
    if len(possible) and len(deals):
        kept = np.concatenate([bits[:, possible] for bits in bit_chunks(data, layer)])
        for row, deal in zip(special, deals, strict=True):
            counted = bit_class_counts(kept, deal[None], len(rule.sizes))[0]
            row[possible] = rule.special(rule.runs(counted))
    return special


def specialist_table(
    about: pd.DataFrame, on: Ints, rule: Rule, null: Bits, names: Sequence[str]
) -> pd.DataFrame:
    """A row a specialist, as `ClassStates` documents it.

    Args:
        about: Columns layer, name, filter.
        on: int64 (classes, filters), images with the gate on.
        rule: What a specialist is.
        null: bool (permutations, filters), which filters are specialists under permuted labels.
        names: Names of the classes.
    """
    runs = rule.runs(on)
    found = np.flatnonzero(rule.special(runs))
    there = runs[:, found]
    running = [tuple(names[int(i)] for i in np.flatnonzero(one)) for one in there.T]
    table = about.iloc[found].assign(
        classes=pd.Series(running, dtype=object, index=found),
        rate=(on[:, found] * there).sum(axis=0) / (rule.sizes[:, None] * there).sum(axis=0),
        images=on[:, found].sum(axis=0),
        chance=(1 + null[:, found].sum(axis=0)) / (1 + len(null)),
    )
    order = ["chance", "images", "layer", "filter"]
    return table.sort_values(order, ascending=[True, False, True, True], ignore_index=True)
