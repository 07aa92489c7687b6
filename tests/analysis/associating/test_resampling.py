import numpy as np
import pytest

from pathlens.analysis.associating.resampling import Resampling, interval


def test_cells_are_counted_by_group_and_property():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 3, 50)
    first, second = rng.random(50) < 0.5, rng.random(50) < 0.3
    found = Resampling(groups, 10).cells(first, second)
    for group in range(3):
        for cell in range(4):
            has = (groups == group) & (first == bool(cell & 2)) & (second == bool(cell & 1))
            assert found[group, cell] == has.sum()
    alone = Resampling(None, 10).cells(first, second)
    assert alone.tolist() == [found.sum(axis=0).tolist()]


def test_images_alone_are_drawn_with_replacement():
    drawn = Resampling(None, 4000).drawn(np.array([[30, 0, 70]]), np.random.default_rng(0))
    assert (drawn.sum(axis=1) == 100).all()
    assert drawn[:, 0].mean() == pytest.approx(30, abs=0.5)
    assert drawn[:, 0].std() == pytest.approx(np.sqrt(100 * 0.3 * 0.7), rel=0.05)


def test_groups_are_drawn_whole():
    cells = np.array([[5, 0], [0, 7], [2, 2]])
    drawn = Resampling(np.repeat([0, 1, 2], [5, 7, 4]), 500).drawn(cells, np.random.default_rng(0))
    possible = {
        tuple((cells[a] + cells[b] + cells[c]).tolist())
        for a in range(3)
        for b in range(3)
        for c in range(3)
    }
    assert {tuple(row) for row in drawn.tolist()} == possible


def test_an_interval_leaves_out_what_is_not_defined():
    values = np.array([np.nan, *np.linspace(0, 1, 1001)])
    assert interval(values) == pytest.approx((0.025, 0.975))
    assert np.isnan(interval(np.full(5, np.nan))).all()
    assert np.isnan(interval(np.zeros(0))).all()


def test_no_samples_are_no_samples():
    for groups in (None, np.zeros(4, dtype=int)):
        assert Resampling(groups, 0).drawn(np.array([[1, 3]]), np.random.default_rng(0)).size == 0
