import itertools

import numpy as np
import pytest

from pathlens.analysis.associating.shifts import circular_shift_test
from pathlens.analysis.statistics import fisher_greater


def every_shift(on, has, groups):
    """Joint images of all combinations of shifts, one by one."""
    places = [np.flatnonzero(groups == one) for one in np.unique(groups)]
    counts = []
    for shifts in itertools.product(*(range(len(p)) for p in places)):
        counts.append(
            sum((on[p] & np.roll(has[p], s)).sum() for p, s in zip(places, shifts, strict=True))
        )
    return np.array(counts)


@pytest.mark.parametrize("seed", range(12))
def test_p_is_the_share_of_all_shifts(seed):
    rng = np.random.default_rng(seed)
    images = int(rng.integers(3, 30))
    # Groups whose images are not neighbours in the recording.
    groups = rng.integers(0, 3, images)
    on, has = rng.random(images) < 0.5, rng.random(images) < 0.4
    counts = every_shift(on, has, groups)
    p, smallest = circular_shift_test(on, has, groups)
    assert p == pytest.approx((counts >= (on & has).sum()).mean())
    assert smallest == pytest.approx((counts == counts.max()).mean())


def test_a_concept_that_is_constant_within_groups_cannot_be_tested():
    groups = np.repeat([0, 1, 2], 20)
    on = np.random.default_rng(0).random(60) < 0.5
    assert circular_shift_test(on, groups == 1, groups) == (1.0, 1.0)


def drifting(rng, length):
    """A yes/no series that keeps its value for about thirty images."""
    return np.cumsum(rng.random(length) < 1 / 30) % 2 == rng.integers(2)


def test_shifts_keep_their_level_on_sequences_where_fisher_does_not():
    rng = np.random.default_rng(0)
    runs = 300
    groups = np.repeat([0, 1], 250)
    shifted = fisher = 0
    for _ in range(runs):
        on, has = (np.concatenate([drifting(rng, 250) for _ in "ab"]) for _ in "xy")
        both, left, right = (np.array([x.sum()]) for x in (on & has, on, has))
        shifted += circular_shift_test(on, has, groups)[0] <= 0.05
        fisher += fisher_greater(both, left, right, 500)[0] <= 0.05
    assert shifted / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert fisher / runs > 0.2


def test_a_planted_association_of_sequences_is_found():
    rng = np.random.default_rng(1)
    groups = np.repeat([0, 1, 2], 200)
    has = np.concatenate([drifting(rng, 200) for _ in range(3)])
    on = has ^ (rng.random(600) < 0.1)
    assert circular_shift_test(on, has, groups)[0] < 1e-4
