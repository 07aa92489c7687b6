import math

import numpy as np
import pytest
from scipy.stats import fisher_exact

from pathlens.analysis.statistics import (
    fisher_greater,
    holm,
    percentile_interval,
    phi,
    resampled_cells,
)


@pytest.mark.parametrize("seed", range(3))
def test_phi_is_the_correlation(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random(50) < 0.4, rng.random(50) < 0.6
    assert phi((a & b).sum(), a.sum(), b.sum(), 50) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert phi(b.sum(), 50, b.sum(), 50) == 0
    big = 2_000_000_000
    assert phi(big, big, big, 2 * big) == pytest.approx(1)


def test_fisher_against_scipy_and_by_hand():
    rng = np.random.default_rng(0)
    n = 40
    a, b = rng.random((30, n)) < 0.4, rng.random((30, n)) < 0.5
    ours = fisher_greater((a & b).sum(1), a.sum(1), b.sum(1), n)
    for i in range(30):
        table = [[(x & y).sum() for y in (b[i], ~b[i])] for x in (a[i], ~a[i])]
        assert ours[i] == pytest.approx(fisher_exact(table, alternative="greater").pvalue)
    # All 3 of 3 marked among 10: 1 / C(10, 3).
    assert fisher_greater(*np.array([[3], [3], [3]]), 10)[0] == pytest.approx(1 / math.comb(10, 3))
    assert fisher_greater(*np.array([[0], [0], [3]]), 10)[0] == 1


@pytest.mark.parametrize("seed", range(5))
def test_holm_against_its_definition(seed):
    p = np.random.default_rng(seed).random(12) ** 3
    ours = holm(p)
    for level in np.linspace(0.001, 0.999, 60):
        rejected, left = set(), sorted(range(12), key=lambda i: p[i])
        while left and p[left[0]] <= level / len(left):
            rejected.add(left.pop(0))
        assert rejected == {i for i in range(12) if ours[i] <= level}
    assert (ours >= p).all()
    assert holm(np.zeros(0)).shape == (0,)


def test_resampled_cells_are_as_resampled_images():
    cells = np.array([[40, 10, 30, 20]])
    rng = np.random.default_rng(0)
    ours = resampled_cells(cells, 4000, rng)[:, 0]
    assert (ours.sum(axis=1) == 100).all()
    images = np.repeat(np.arange(4), cells[0])
    slow = np.array([np.bincount(rng.choice(images, 100), minlength=4) for _ in range(4000)])
    assert ours.mean(axis=0) == pytest.approx(slow.mean(axis=0), abs=0.5)
    assert np.cov(ours.T) == pytest.approx(np.cov(slow.T), abs=2.5)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    truth = np.array([0.15, 0.25, 0.15, 0.45])
    true_phi = float(phi(0.45, 0.6, 0.7, 1))
    samples = rng.multinomial(300, truth, size=400)
    drawn = resampled_cells(samples, 300, rng)
    low, high = percentile_interval(
        phi(drawn[..., 3], drawn[..., 2:].sum(-1), drawn[..., 1] + drawn[..., 3], 300)
    )
    assert 0.91 <= np.mean((low <= true_phi) & (true_phi <= high)) <= 0.98
