import itertools

import numpy as np
import pytest

from pathlens.analysis import associations
from pathlens.analysis.associating import class_permutation
from pathlens.analysis.associating.class_permutation import (
    ClassHalves,
    class_permutation_test,
    labellings,
    smallest_p,
)
from pathlens.analysis.associating.search import search_layer
from pathlens.analysis.statistics import fisher_greater
from tests.analysis.conftest import make_recording


def by_loops(bits, labels, own, members, top):
    """For every choice of as many classes: search, and keep the best on confirmation images."""
    classes, best = len(own), []
    for chosen in itertools.combinations(range(classes), int(own.sum())):
        has = [np.isin(half, chosen) for half in labels]
        found = search_layer(bits[0], has[0][:, None], max_size=2, top=top)
        values = [
            np.corrcoef(bits[1][:, row[row >= 0]].all(axis=1), has[1])[0, 1]
            for row in found.members
        ]
        best.append(max(values, default=-np.inf))
    has = np.isin(labels[1], np.flatnonzero(own))
    reached = np.corrcoef(bits[1][:, members].all(axis=1), has)[0, 1]
    return np.mean([value >= reached - 1e-9 for value in best])


@pytest.mark.parametrize("seed", range(3))
def test_p_is_the_share_of_labellings_that_do_as_well(seed):
    rng = np.random.default_rng(seed)
    labels = [rng.permutation(np.arange(150) % 5) for _ in range(2)]
    rates = rng.random((5, 6))
    bits = [rng.random((150, 6)) < rates[one] for one in labels]
    own = np.array([1, 0, 1, 0, 0], dtype=bool)
    halves = ClassHalves(*bits, *labels, 5)
    candidates = [np.array([0]), np.array([1, 4])]

    def search(on, concepts):
        return search_layer(on, concepts, max_size=2, top=2)

    p = class_permutation_test(halves, own, candidates, search, np.random.default_rng(0))
    assert p.tolist() == pytest.approx(
        [by_loops(bits, labels, own, members, 2) for members in candidates]
    )
    assert (p >= smallest_p(own)).all()


def test_all_labellings_or_a_thousand_of_them():
    own = np.arange(6) < 2
    ways = labellings(own, np.random.default_rng(0))
    assert len({tuple(way) for way in ways.tolist()}) == len(ways) == 15
    assert smallest_p(own) == pytest.approx(1 / 15)
    many = np.arange(40) < 10
    drawn = labellings(many, np.random.default_rng(0))
    assert drawn.shape == (class_permutation.MOST_LABELLINGS, 40)
    assert (drawn.sum(axis=1) == 10).all()
    assert (drawn[0] == many).all()
    assert smallest_p(many) == 1 / class_permutation.MOST_LABELLINGS


def class_recording(rng, concept_classes, aligned, images=900, classes=9):
    labels = rng.permutation(np.arange(images) % classes)
    rates = rng.random((classes, 6))
    if aligned:
        rates[:, 2] = np.where(np.isin(np.arange(classes), concept_classes), 0.95, 0.05)
    bits = rng.random((images, 6)) < rates[labels]
    names = [f"c{i}" for i in range(classes)]
    concepts = {"set": np.isin(labels, concept_classes)}
    return make_recording(bits, labels, classes=names, concepts=concepts)


def test_sets_of_classes_keep_their_level_where_images_would_not():
    runs, over_classes, over_images = 60, 0, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        labels = [rng.permutation(np.arange(270) % 9) for _ in range(2)]
        rates = rng.random((9, 6))
        bits = [rng.random((270, 6)) < rates[one] for one in labels]
        own = rng.permutation(np.arange(9) < 4)
        found = search_layer(bits[0], own[labels[0]][:, None], max_size=1, top=1)
        if not len(found):
            continue
        members, has = found.members[0, :1], own[labels[1]]
        on = bits[1][:, members[0]]
        both, left, right = (np.array([x.sum()]) for x in (on & has, on, has))
        over_images += fisher_greater(both, left, right, 270)[0] <= 0.05
        p = class_permutation_test(
            ClassHalves(*bits, *labels, 9),
            own,
            [members],
            lambda x, y: search_layer(x, y, max_size=1, top=1),
            rng,
        )
        over_classes += p[0] <= 0.05
    assert over_classes / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert over_images / runs > 0.5


def test_a_planted_set_of_classes_is_confirmed_where_classes_suffice():
    found = associations(
        class_recording(
            np.random.default_rng(0), [0, 1, 2, 3], aligned=True, classes=12, images=1200
        ),
        max_size=1,
        top=1,
        resamples=0,
    )
    row = found.frame[found.frame["concept"] == "set"].iloc[0]
    assert (row["combination"], row["p"], row["confirmed"]) == ("2", pytest.approx(1 / 495), True)
    assert found.class_sets == {"set": (4, 12)}


def test_too_few_classes_are_said_to_be_untestable():
    found = associations(
        class_recording(np.random.default_rng(0), [0, 1], aligned=True, classes=4), resamples=0
    )
    rows = found.frame[found.frame["concept"] == "set"]
    assert len(rows)
    assert not rows["testable"].any()
    assert rows[["p", "p_corrected"]].isna().all(axis=None)
    assert rows["p_smallest"].tolist() == pytest.approx([1 / 6] * len(rows))
    assert "smallest attainable p 0.17" in found.summary()
    assert "untestable" in found.summary()
    assert len(found.untestable) >= len(rows)
