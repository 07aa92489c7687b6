import numpy as np
import pytest

from pathlens.analysis.associating.corrections import CORRECTIONS, can_be_significant, corrected
from pathlens.analysis.statistics import benjamini_hochberg, benjamini_yekutieli


def rejected_by_steps(p, level, price=1.0):
    """Step-up as Benjamini & Hochberg say it: the largest rank whose p is below rank / m * level."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    last = 0
    for rank, i in enumerate(order, start=1):
        if p[i] <= rank * level / (len(p) * price):
            last = rank
    return {order[i] for i in range(last)}


@pytest.mark.parametrize("seed", range(10))
def test_false_share_corrections_reject_as_the_step_up_rule_says(seed):
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(rng.integers(1, 30)) ** 3, 2)
    harmonic = sum(1 / i for i in range(1, len(p) + 1))
    for level in (0.05, 0.2, 0.6):
        slack = level * (1 + 1e-9)
        ours = set(np.flatnonzero(benjamini_hochberg(p) <= slack).tolist())
        assert ours == rejected_by_steps(p, slack)
        ours = set(np.flatnonzero(benjamini_yekutieli(p) <= slack).tolist())
        assert ours == rejected_by_steps(p, slack, harmonic)


def test_corrections_of_nothing_are_nothing():
    for correct in CORRECTIONS.values():
        assert len(correct(np.zeros(0))) == 0
    assert len(can_be_significant(np.zeros(0), 0.05)) == 0


@pytest.mark.parametrize("seed", range(10))
def test_testable_is_what_tarone_says(seed):
    rng = np.random.default_rng(seed)
    smallest = 10.0 ** -rng.uniform(0, 4, rng.integers(1, 60))
    level = 0.05
    for k in range(1, len(smallest) + 1):
        if sum(s <= level / k for s in smallest) <= k:
            break
    assert can_be_significant(smallest, level).tolist() == [s <= level / k for s in smallest]


def test_what_cannot_be_significant_costs_nothing():
    p, smallest = np.array([0.01, 0.03, 0.5, 0.6]), np.array([1e-9, 1e-9, 0.4, 0.3])
    family = can_be_significant(smallest, 0.05)
    found = corrected(p, family, "holm")
    assert found[:2].tolist() == pytest.approx([0.02, 0.03])
    assert np.isnan(found[2:]).all()


@pytest.mark.parametrize("correction", ["bh", "by"])
def test_mean_false_share_stays_below_the_level(correction):
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(1000):
        true = np.arange(40) < 10
        p = np.where(true, rng.random(40) * 0.002, rng.random(40))
        claimed = corrected(p, np.ones(40, dtype=bool), correction) <= 0.05
        shares.append((claimed & ~true).sum() / max(claimed.sum(), 1))
    shares = np.array(shares)
    assert shares.mean() <= 0.05 + 3 * shares.std() / np.sqrt(len(shares))
    assert shares.mean() > 0
