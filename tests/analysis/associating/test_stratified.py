import itertools
from math import comb

import numpy as np
import pytest
from scipy.stats import hypergeom
from scipy.stats.contingency import odds_ratio

from pathlens.analysis.associating.beyond_class import class_tables
from pathlens.analysis.associating.stratified import within_class


def chances_by_loops(tables, ratio):
    """Chance of every sum of joint images: all combinations of the classes' tables."""
    spread = []
    for both, first, second, neither in tables:
        on, has, images = both + first, both + second, both + first + second + neither
        least, most = max(0, on + has - images), min(on, has)
        weights = {
            a: comb(on, a) * comb(images - on, has - a) * ratio**a for a in range(least, most + 1)
        }
        spread.append({a: w / sum(weights.values()) for a, w in weights.items()})
    total = {}
    for some in itertools.product(*(one.items() for one in spread)):
        key = sum(a for a, _ in some)
        total[key] = total.get(key, 0.0) + float(np.prod([w for _, w in some]))
    return total


@pytest.mark.parametrize("seed", range(10))
def test_p_and_interval_against_all_combinations_of_tables(seed):
    rng = np.random.default_rng(seed)
    tables = rng.integers(0, 7, (3, 4))
    tables[0] = [4, 2, 1, 5]
    found = within_class(tables)
    observed = tables[:, 0].sum()
    null = chances_by_loops(tables.tolist(), 1.0)
    assert found.p == pytest.approx(sum(c for s, c in null.items() if s >= observed))
    assert found.smallest == pytest.approx(null[max(null)])
    if min(null) < observed < max(null):
        likely = chances_by_loops(tables.tolist(), found.odds_ratio)
        assert sum(s * c for s, c in likely.items()) == pytest.approx(observed, rel=1e-6)
    if observed > min(null):
        low = chances_by_loops(tables.tolist(), found.low)
        assert sum(c for s, c in low.items() if s >= observed) == pytest.approx(0.025, rel=1e-4)
    else:
        assert found.low == 0
    if observed < max(null):
        high = chances_by_loops(tables.tolist(), found.high)
        assert sum(c for s, c in high.items() if s <= observed) == pytest.approx(0.025, rel=1e-4)
    else:
        assert found.high == np.inf


@pytest.mark.parametrize(
    "table", [[200, 40, 30, 500], [3, 0, 2, 9], [0, 5, 6, 30], [9, 900, 4, 80]]
)
def test_one_class_gives_fisher_and_the_conditional_interval(table):
    found = within_class(np.array([table]))
    a, b, c, d = table
    assert found.p == pytest.approx(hypergeom.sf(a - 1, a + b + c + d, a + b, a + c))
    expected = odds_ratio([[a, b], [c, d]])
    ends = expected.confidence_interval(0.95)
    assert found.low == pytest.approx(ends.low, rel=1e-4)
    assert found.high == pytest.approx(ends.high, rel=1e-4)
    assert found.odds_ratio == pytest.approx(expected.statistic, rel=1e-4)


def test_very_strong_associations_of_many_images_keep_a_finite_interval():
    found = within_class(np.array([[20_000, 150, 100, 30_000], [9_000, 100, 80, 700]]))
    assert found.low < found.odds_ratio < found.high < np.inf
    assert found.low > 100
    weak = within_class(np.array([[150, 20_000, 30_000, 100]]))
    assert 0 < weak.low < weak.odds_ratio < weak.high < 0.01
    assert weak.p == pytest.approx(1.0)


def test_classes_without_variation_say_nothing():
    constant = np.array([[0, 0, 30, 10], [20, 0, 5, 0]])
    found = within_class(constant)
    assert (found.p, found.smallest, found.low, found.high) == (1.0, 1.0, 0.0, np.inf)
    informing = np.array([[12, 4, 5, 20]])
    assert within_class(np.concatenate([informing, constant])) == within_class(informing)


def test_tables_count_images_of_known_class():
    labels = np.array([0, 0, 2, 2, -1, 2])
    on = np.array([1, 0, 1, 1, 1, 0], dtype=bool)
    has = np.array([1, 1, 0, 1, 1, 0], dtype=bool)
    assert class_tables(on, has, labels).tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 1]]
