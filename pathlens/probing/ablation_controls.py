"""Random sets of filters that are like a given set: the null of every ablation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pathlens.analysis.source import Floats, Ints

NEAREST = 10
"""A filter is replaced by one of so many others that are most like it."""

_TRIES = 20
"""Draws for each wanted set, as draws may repeat one another."""


def matched_sets(
    members: Mapping[str, Ints],
    rates: Mapping[str, Floats],
    norms: Mapping[str, Floats],
    count: int,
    rng: np.random.Generator,
) -> list[dict[str, Ints]]:
    """Draw different random sets matched on layers, size, on-rate and contribution norm.

    Every filter of the set is replaced by another one of its layer, drawn without replacement from
    the `NEAREST` filters outside the set that differ least from it in rank of on-rate plus rank of norm.

    Args:
        members: Layer name to filters.
        rates: Layer name to on-rates, (filters,).
        norms: Layer name to what is matched beside them, (filters,), in any unit.
        count: Number of sets.
        rng: Draws them.

    Returns:
        At most `count` sets, none twice; fewer where there are no more, none where a layer has fewer
        filters outside the set than in it.
    """
    near = {name: _distances(members[name], rates[name], norms[name]) for name in members}
    if any(len(others) < len(members[name]) for name, (others, _) in near.items()):
        return []
    found: dict[tuple[int, ...], dict[str, Ints]] = {}
    for _ in range(_TRIES * count):
        if len(found) == count:
            break
        drawn = {name: _draw(others, far, rng) for name, (others, far) in near.items()}
        found.setdefault(tuple(np.concatenate(list(drawn.values())).tolist()), drawn)
    return list(found.values())


def _distances(members: Ints, rates: Floats, norms: Floats) -> tuple[Ints, Floats]:
    """Filters outside the set (others,), and how far they are from its filters (members, others)."""
    others = np.setdiff1d(np.arange(len(rates)), members)
    ranks = np.stack([pd.Series(values).rank().to_numpy() for values in (rates, norms)])
    apart = np.abs(ranks[:, members, None] - ranks[:, None, others]).sum(axis=0)
    return others, apart


def _draw(others: Ints, apart: Floats, rng: np.random.Generator) -> Ints:
    """One filter for each row of `apart`, none twice, in ascending order."""
    free = np.ones(len(others), dtype=bool)
    for row in rng.permutation(len(apart)):
        left = np.flatnonzero(free)
        nearest = left[np.argsort(apart[row, left], kind="stable")[:NEAREST]]
        free[rng.choice(nearest)] = False
    return np.asarray(others[~free])
