"""Filters that a combination has by luck, found by the search among very many, are taken out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pathlens.analysis.associating.packed import NO_FILTER
from pathlens.analysis.associating.qualities import quality, value
from pathlens.analysis.associating.search import Found
from pathlens.analysis.source import Bits, Ints
from pathlens.analysis.statistics import phi

LEVEL = 0.05
"""Of the test of one filter, over all filters that might have been added in its place."""


def trimmed(found: Found, bits: Bits, concepts: Bits) -> Found:
    """Keep only filters that a combination needs beyond chance, on the images that were searched.

    The best of very many sets nearly always has a filter more than the truth, as some filter improves
    any set by luck. Each filter of a combination is therefore tested: among images that all its other
    filters are on for, is the concept more frequent where this filter is on, too (Fisher's exact test,
    one-sided, Bonferroni over the filters of the layer)? Sets all of whose parts pass such tests are
    called productive (Webb, Self-sufficient itemsets, ACM TKDD 4(1), 2010). The filter that fails by
    most goes, until none fails; combinations that become the same are kept once.

    Args:
        found: What the search found.
        bits: bool (images, filters), the images that were searched.
        concepts: bool (images, concepts).

    Returns:
        The same, best first for each concept; candidates and visited stay those of the search.
    """
    kept: dict[tuple[int, tuple[int, ...]], None] = {}
    for concept, members in zip(found.concept.tolist(), found.members, strict=True):
        needed = _needed(bits, concepts[:, concept], members[members != NO_FILTER], found.filters)
        kept.setdefault((concept, needed))
    return _of_sets(found, list(kept), bits, concepts)


def _needed(bits: Bits, has: Bits, filters: Ints, tried: int) -> tuple[int, ...]:
    """What is left of a combination."""
    while len(filters) > 1:
        p = np.array(
            [_p_without(bits, has, np.delete(filters, i), f) for i, f in enumerate(filters)]
        )
        if p.max() <= LEVEL / tried:
            break
        filters = np.delete(filters, p.argmax())
    return tuple(int(number) for number in filters)


def _p_without(bits: Bits, has: Bits, others: Ints, number: int) -> float:
    """P of what a filter adds to others, among the images that these are on for."""
    from scipy.stats import hypergeom

    inside = bits[:, others].all(axis=1)
    on = inside & bits[:, number]
    hits, images = int((on & has).sum()), int(inside.sum())
    return float(hypergeom.sf(hits - 1, images, int((inside & has).sum()), int(on.sum())))


def _of_sets(
    found: Found, sets: list[tuple[int, tuple[int, ...]]], bits: Bits, concepts: Bits
) -> Found:
    concept = np.array([number for number, _ in sets], dtype=np.int64)
    counts = np.zeros((len(sets), 2), dtype=np.int64)
    members = np.full((len(sets), found.members.shape[1]), NO_FILTER, dtype=np.int64)
    for row, (number, filters) in enumerate(sets):
        on = bits[:, list(filters)].all(axis=1)
        counts[row] = (on & concepts[:, number]).sum(), on.sum()
        members[row, : len(filters)] = filters
    positives, images = concepts.sum(axis=0)[concept], len(bits)
    reached = value(quality(found.quality), counts[:, 0], counts[:, 1], positives, images)
    order = np.lexsort((-reached, concept))
    return replace(
        found,
        concept=concept[order],
        members=members[order],
        value=reached[order],
        phi=phi(counts[:, 0], counts[:, 1], positives, images)[order],
        best_single=_best_singles(found, concept)[order],
    )


def _best_singles(found: Found, concept: Ints) -> Ints:
    """The best single filter of each set's concept."""
    known = dict(zip(found.concept.tolist(), found.best_single.tolist(), strict=True))
    return np.array([known[each] for each in concept.tolist()], dtype=np.int64)
