"""Filters that a combination has by luck go; those that it needs stay."""

import numpy as np
import pytest

from pathlens.analysis.associating.search import NO_FILTER, search_layer
from pathlens.analysis.associating.trimming import LEVEL, trimmed


def world(seed, planted, *, images=2500, filters=60, rates=(0.8, 0.99), truth=0.5, lie=0.2):
    """Independent filters; a concept that images with all planted filters on have more often."""
    rng = np.random.default_rng(seed)
    bits = rng.random((images, filters)) < rng.uniform(*rates, filters)
    bits[:, : len(planted)] = rng.random((images, len(planted))) < 0.7
    on = bits[:, list(planted)].all(axis=1)
    return bits, rng.random(images) < np.where(on, truth, lie)


def sets_of(found):
    return [tuple(int(x) for x in row[row != NO_FILTER]) for row in found.members]


def by_counting(bits, has, filters, tried):
    """Slow: the same, with p as sums over all tables that are no less extreme."""
    from math import comb

    filters = list(filters)
    while len(filters) > 1:
        p = []
        for number in filters:
            others = [x for x in filters if x != number]
            inside = np.flatnonzero(bits[:, others].all(axis=1))
            on = bits[inside, number]
            n, k, m = len(inside), int(has[inside].sum()), int(on.sum())
            seen = int((on & has[inside]).sum())
            tables = sum(comb(k, x) * comb(n - k, m - x) for x in range(seen, min(k, m) + 1))
            p.append(tables / comb(n, m))
        if max(p) <= LEVEL / tried:
            break
        del filters[int(np.argmax(p))]
    return tuple(filters)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_planted_sets_lose_what_they_have_by_luck_and_nothing_else(size):
    before, after = 0, 0
    for seed in range(20):
        planted = tuple(range(size))
        bits, has = world(seed, planted)
        found = search_layer(bits, has[:, None], top=1)
        before += sets_of(found)[0] == planted
        after += sets_of(trimmed(found, bits, has[:, None]))[0] == planted
    assert before < 18 or size == 3
    assert after >= 18


@pytest.mark.parametrize("seed", range(4))
def test_the_same_as_by_counting_tables(seed):
    bits, has = world(seed, (0, 1), images=240, filters=12)
    concepts = np.stack([has, np.random.default_rng(seed).random(240) < 0.4], axis=1)
    found = search_layer(bits, concepts)
    slow = [
        (int(c), by_counting(bits, concepts[:, c], members, found.filters))
        for c, members in zip(found.concept, sets_of(found), strict=True)
    ]
    fast = trimmed(found, bits, concepts)
    assert set(zip(fast.concept.tolist(), sets_of(fast), strict=True)) == set(slow)
    assert len(fast) == len(set(slow))
    for concept, members, phi in zip(fast.concept, sets_of(fast), fast.phi, strict=True):
        on = bits[:, list(members)].all(axis=1)
        assert phi == pytest.approx(np.corrcoef(on, concepts[:, concept])[0, 1])
    for concept in range(2):
        assert (np.diff(fast.value[fast.concept == concept]) <= 0).all()


def test_the_search_keeps_its_counts_and_best_singles():
    bits, has = world(0, (0, 1))
    found = search_layer(bits, has[:, None], top=3)
    fast = trimmed(found, bits, has[:, None])
    assert (fast.candidates, fast.visited, fast.exact) == (
        found.candidates,
        found.visited,
        found.exact,
    )
    assert set(fast.best_single) == set(found.best_single)
    nothing = search_layer(bits, np.zeros((len(bits), 0), dtype=bool))
    assert len(trimmed(nothing, bits, np.zeros((len(bits), 0), dtype=bool))) == 0
