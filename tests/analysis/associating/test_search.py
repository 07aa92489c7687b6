import itertools

import numpy as np
import pytest

from pathlens.analysis.associating import best_sets
from pathlens.analysis.associating.qualities import QUALITIES, value
from pathlens.analysis.associating.search import NO_FILTER, search_layer
from pathlens.analysis.statistics import phi
from pathlens.errors import PathLensError


def slow_value(quality, on, has):
    n, support, positives, both = len(on), int(on.sum()), int(has.sum()), int((on & has).sum())
    if quality == "phi":
        if support in (0, n) or positives in (0, n):
            return 0.0
        left, right = np.sqrt(support * (n - support)), np.sqrt(positives * (n - positives))
        return (n * both - support * positives) / (left * right)
    if quality == "wracc":
        return (n * both - support * positives) / n**2
    return n * both / (support * positives) if support and positives else 0.0


def exhaustive(bits, concepts, max_size, top, quality="phi", least=1):
    """All sets one by one, as the documentation of the search says it."""
    dynamic = [j for j in range(bits.shape[1]) if 0 < bits[:, j].sum() < len(bits)]
    sets = [one for size in range(1, max_size + 1) for one in itertools.combinations(dynamic, size)]
    routed = {one: bits[:, list(one)].all(axis=1) for one in sets}
    found = []
    for concept, has in enumerate(concepts.T):
        values = {}
        for one, on in routed.items():
            values[one] = slow_value(quality, on, has) if on.sum() >= least else 0.0
        floor = 1.0 if quality == "lift" else 0.0
        kept = [
            one
            for one, value in values.items()
            if value > floor
            and all(
                values[part] < value
                for size in range(1, len(one))
                for part in itertools.combinations(one, size)
            )
        ]
        kept.sort(key=lambda one: (-values[one], len(one), one))
        found += [(concept, one, values[one]) for one in kept[:top]]
    return found


def rows(found):
    return [
        (int(concept), tuple(int(i) for i in members if i != NO_FILTER), float(value))
        for concept, members, value in zip(found.concept, found.members, found.value, strict=True)
    ]


def same(found, slow):
    return rows(found) == [(c, m, pytest.approx(v, abs=1e-12)) for c, m, v in slow]


def tangled(seed, images=None, filters=None):
    """Correlated, doubled, nested and constant columns; rare, common, planted and random concepts."""
    rng = np.random.default_rng(seed)
    images = images or int(rng.integers(12, 400))
    filters = filters or int(rng.integers(3, 11))
    bits = rng.random((images, filters)) < rng.uniform(0.1, 0.95, filters)
    shared = rng.random(images) < 0.5
    follows = rng.random(filters) < 0.4
    bits[:, follows] = np.where(
        rng.random((images, follows.sum())) < 0.7, shared[:, None], bits[:, follows]
    )
    nested = bits[:, [0]] & bits[:, [1]]
    still = np.tile([True, False], (images, 1))
    bits = np.hstack([bits, bits[:, :1], nested, still])[:, rng.permutation(filters + 4)]
    planted = bits[:, rng.choice(filters, 3, replace=False)].all(axis=1)
    concepts = np.stack(
        [
            planted,
            planted ^ (rng.random(images) < 0.1),
            ~planted,
            rng.random(images) < 0.05,
            rng.random(images) < 0.9,
            np.zeros(images, dtype=bool),
            np.ones(images, dtype=bool),
        ],
        axis=1,
    )
    return bits, concepts


@pytest.mark.parametrize("quality", ["phi", "wracc", "lift"])
@pytest.mark.parametrize("seed", range(24))
def test_search_equals_the_exhaustive_oracle(seed, quality, monkeypatch):
    # With many leads the beam would find all of so few sets, and no bound would be tested.
    monkeypatch.setattr(best_sets, "_LEADS", 1)
    bits, concepts = tangled(seed)
    rng = np.random.default_rng([seed, 1])
    max_size, top = int(rng.integers(1, 5)), int(rng.integers(1, 7))
    least = int(rng.choice([1, 2, max(1, len(bits) // 20), max(1, len(bits) // 4)]))
    found = search_layer(
        bits, concepts, max_size=max_size, top=top, quality=quality, min_support=least
    )
    slow = exhaustive(bits, concepts, max_size, top, quality, least)
    assert same(found, slow)
    assert found.exact
    assert found.visited <= found.candidates


@pytest.mark.parametrize("seed", range(8))
def test_more_images_filters_and_concepts_than_fit_one_word_or_lane(seed, monkeypatch):
    monkeypatch.setattr(best_sets, "_LEADS", 1)
    bits, _ = tangled(seed, images=900, filters=14)
    rng = np.random.default_rng([seed, 2])
    concepts = rng.random((900, 20)) < rng.uniform(0.05, 0.95, 20)
    for concept in range(0, 20, 2):
        those = rng.choice(bits.shape[1], 3, replace=False)
        concepts[:, concept] = bits[:, those].all(axis=1) ^ (rng.random(900) < 0.05)
    found = search_layer(bits, concepts, max_size=3, top=4)
    assert same(found, exhaustive(bits, concepts, 3, 4))
    assert found.visited < found.candidates
    assert found.pruned == found.candidates - found.visited


def test_a_planted_triple_whose_parts_say_nothing_is_found():
    rng = np.random.default_rng(0)
    bits = rng.random((3000, 40)) < 0.5
    # Each pair of the three has the concept in a quarter of its images, as all images have.
    odd = bits[:, [5, 17, 33]].sum(axis=1) % 2 == 1
    concepts = (odd & (bits[:, [5, 17, 33]].sum(axis=1) == 3))[:, None]
    found = search_layer(bits, concepts, max_size=3, top=1)
    assert rows(found) == [(0, (5, 17, 33), pytest.approx(1.0))]
    parity = search_layer(bits, odd[:, None], max_size=3, top=1)
    assert rows(parity)[0][1] == (5, 17, 33)


def test_best_single_filter_is_that_of_the_quality_even_where_nothing_is_found():
    bits, concepts = tangled(3, images=200, filters=6)
    found = search_layer(bits, concepts, max_size=3, top=2)
    singles = exhaustive(bits, concepts, 1, 1)
    best = {concept: members[0] for concept, members, _ in singles}
    assert all(best[c] == s for c, s in zip(found.concept, found.best_single, strict=True))


@pytest.mark.parametrize("quality", ["phi", "wracc", "lift"])
def test_result_and_work_do_not_depend_on_threads(quality):
    bits, concepts = tangled(5, images=700, filters=18)
    one, four = (
        search_layer(bits, concepts, max_size=4, top=5, quality=quality, threads=threads)
        for threads in (1, 4)
    )
    assert rows(one) == rows(four)
    assert one.visited == four.visited


def test_concepts_searched_apart_give_the_same(monkeypatch):
    bits, concepts = tangled(6, images=300, filters=9)
    whole = search_layer(bits, concepts, max_size=3, top=3)
    monkeypatch.setattr(best_sets, "_MEMORY", 1)
    parts = search_layer(bits, concepts, max_size=3, top=3)
    assert rows(whole) == rows(parts)
    assert (whole.best_single == parts.best_single).all()


def test_phi_stands_beside_other_qualities():
    bits, concepts = tangled(7, images=300)
    found = search_layer(bits, concepts, max_size=3, top=3, quality="lift", min_support=20)
    assert found.least_support == 20
    for concept, members, shown in zip(found.concept, found.members, found.phi, strict=True):
        on = bits[:, members[members >= 0]].all(axis=1)
        assert on.sum() >= 20
        assert shown == pytest.approx(np.corrcoef(on, concepts[:, concept])[0, 1])


def test_lift_has_a_least_support_of_its_own():
    bits, concepts = tangled(8, images=400)
    assert search_layer(bits, concepts, quality="lift").least_support == 5
    assert (
        search_layer(np.tile(bits, (3, 1)), np.tile(concepts, (3, 1)), quality="lift").least_support
        == 12
    )
    assert search_layer(bits, concepts).least_support == 1


def test_a_least_support_above_the_images_finds_nothing():
    bits, concepts = tangled(9)
    assert len(search_layer(bits, concepts, min_support=len(bits) + 1)) == 0


@pytest.mark.parametrize("seed", range(6))
def test_a_beam_says_that_it_is_not_exact_and_is_never_better(seed):
    bits, concepts = tangled(seed, images=250, filters=9)
    exact = search_layer(bits, concepts, max_size=4, top=3)
    narrow = search_layer(bits, concepts, max_size=4, top=3, beam=1)
    wide = search_layer(bits, concepts, max_size=4, top=3, beam=10_000)
    assert not narrow.exact
    assert not wide.exact
    assert narrow.candidates == narrow.visited
    assert rows(wide) == rows(exact)
    for concept in np.unique(narrow.concept):
        mine = narrow.value[narrow.concept == concept]
        assert (mine <= exact.value[exact.concept == concept][: len(mine)]).all()


def test_pairs_are_exact_even_with_a_beam():
    bits, concepts = tangled(1)
    assert search_layer(bits, concepts, max_size=2, beam=1).exact


def test_nothing_to_search_gives_an_empty_result():
    bits, concepts = tangled(2, images=50)
    none = search_layer(np.ones_like(bits), concepts)
    assert (len(none), none.filters, none.candidates, none.visited) == (0, 0, 0, 0)
    assert none.members.shape[0] == 0
    assert len(search_layer(bits, concepts[:, :0])) == 0
    assert len(search_layer(bits, concepts[:, 5:])) == 0


@pytest.mark.parametrize("name", QUALITIES)
def test_bounds_of_every_quality_hold_count_by_count(name):
    images, chosen = 23, QUALITIES[name]
    for positives in range(1, images):
        for least in (1, 4):
            corner = [
                float(value(chosen, both, max(both, least), positives, images))
                for both in range(positives + 1)
                if max(both, least) < images
            ]
            assert all(b >= a - 1e-12 for a, b in itertools.pairwise(corner))
        for both in range(positives + 1):
            supports = range(max(both, 1), min(images, both + images - positives + 1))
            falling = [float(value(chosen, both, s, positives, images)) for s in supports]
            above = [x for x in falling if x > chosen.floor]
            assert above == falling[: len(above)]
            assert all(b <= a + 1e-12 for a, b in itertools.pairwise(above))


def test_phi_as_a_quality_is_phi():
    both, support, positives = np.meshgrid(np.arange(9), np.arange(10), np.arange(10))
    assert (
        value(QUALITIES["phi"], both, support, positives, 9) == phi(both, support, positives, 9)
    ).all()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"max_size": 0}, "max_size is 0"),
        ({"top": 0}, "top is 0"),
        ({"min_support": 0}, "min_support is 0"),
        ({"beam": 0}, "beam is 0"),
        ({"quality": "phy"}, "did you mean phi"),
    ],
)
def test_options_out_of_range_are_refused(wrong, words):
    bits, concepts = tangled(0)
    with pytest.raises(PathLensError, match=words):
        search_layer(bits, concepts, **wrong)
