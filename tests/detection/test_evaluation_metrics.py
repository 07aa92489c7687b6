from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from pathlens.detection.evaluation.matching import match_confidence
from pathlens.detection.evaluation.metrics import (
    Resamples,
    auroc,
    auroc_draws,
    interval,
    share_draws,
    threshold_at,
)


def area_by_pairs(clean, altered, clean_weights, altered_weights) -> float:
    wins = total = 0.0
    for x, v in zip(clean, clean_weights, strict=True):
        for y, w in zip(altered, altered_weights, strict=True):
            wins += v * w * (1.0 if y > x else 0.5 if y == x else 0.0)
            total += v * w
    return wins / total


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("values", [4, 1000])
def test_area_counts_pairs_with_ties_as_half(seed: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    clean, altered = (rng.integers(0, values, n).astype(float) for n in (37, 23))
    flat = area_by_pairs(clean, altered, np.ones(37), np.ones(23))
    assert auroc(clean, altered) == pytest.approx(flat, abs=1e-12)
    weights = rng.random(37) * (rng.random(37) < 0.8), rng.random(23)
    weighed = area_by_pairs(clean, altered, *weights)
    assert auroc(clean, altered, *weights) == pytest.approx(weighed, abs=1e-12)


def test_area_of_no_images_is_unknown() -> None:
    assert np.isnan(auroc(np.zeros(0), np.ones(3)))
    assert np.isnan(auroc(np.zeros(2), np.ones(3), np.zeros(2)))


@pytest.mark.parametrize("seed", range(3))
def test_bootstrap_areas_are_those_of_the_repeated_images(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tested = rng.random(40) < 0.7
    sources = np.flatnonzero(tested)
    clean = rng.integers(0, 9, len(sources)).astype(float)
    made_of = rng.choice(sources, 50)
    altered = rng.integers(2, 12, 50).astype(float)
    samples = Resamples.draw(tested, 140, seed)
    assert (samples.counts[~tested] == 0).all()
    assert (samples.counts.sum(axis=0) == tested.sum()).all()
    areas = auroc_draws(clean, samples.of(sources), altered, samples.of(made_of))
    for one in (0, 7, 139):
        times = samples.counts[:, one].astype(int)
        repeated = np.repeat(clean, times[sources]), np.repeat(altered, times[made_of])
        assert areas[one] == pytest.approx(auroc(*repeated), abs=1e-6)
        rate = (repeated[1] > 6).mean()
        assert share_draws(altered > 6, samples.of(made_of))[one] == pytest.approx(rate, abs=1e-6)


def test_same_seed_draws_the_same_samples() -> None:
    tested = np.arange(30) % 3 > 0
    first, again, other = (Resamples.draw(tested, 20, seed).counts for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def lowest_allowed(clean: np.ndarray, rate: float) -> float:
    best = np.inf
    for t in clean:
        if ((clean > t).sum() + 1) / (len(clean) + 1) <= rate + 1e-12:
            best = min(best, t)
    return best


@pytest.mark.parametrize("count", [19, 20, 39, 99, 100, 250])
@pytest.mark.parametrize("rate", [0.01, 0.05])
def test_threshold_is_the_lowest_that_keeps_the_rate(count: int, rate: float) -> None:
    rng = np.random.default_rng(count)
    for scores in (rng.normal(size=count), rng.integers(0, 30, count).astype(float)):
        assert threshold_at(scores, rate) == lowest_allowed(scores, rate)
        assert threshold_at(scores, rate, np.full(count, 3.0)) == lowest_allowed(scores, rate)


def test_threshold_needs_enough_images() -> None:
    assert threshold_at(np.arange(18.0), 0.05) == np.inf
    assert threshold_at(np.arange(19.0), 0.05) == 18
    assert threshold_at(np.zeros(0), 0.05) == np.inf


def test_new_clean_images_are_flagged_at_most_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    rates = [
        (rng.normal(size=400) > threshold_at(rng.normal(size=60), 0.05)).mean() for _ in range(800)
    ]
    # floor(0.05 * 61) / 61 = 3 / 61
    assert np.mean(rates) == pytest.approx(3 / 61, abs=0.004)


def test_weighted_threshold_keeps_the_rate_of_the_weighted_images() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=20_000)
    weights = np.exp(scores)  # which makes N(1, 1) of N(0, 1)
    assert threshold_at(scores, 0.05, weights) == pytest.approx(1 + norm.ppf(0.95), abs=0.12)


@pytest.mark.parametrize("gap", [0.0, 0.7, 2.0])
def test_shifted_normal_scores_have_the_known_area(gap: float) -> None:
    rng = np.random.default_rng(3)
    area = auroc(rng.normal(size=20_000), rng.normal(size=20_000) + gap)
    assert area == pytest.approx(norm.cdf(gap / np.sqrt(2)), abs=0.01)


def test_interval_covers_the_true_area_when_rows_of_a_source_belong_together() -> None:
    truth = norm.cdf(1 / np.sqrt(2))
    covered = together = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        # Six altered rows of a source are nearly copies; taken as alone they look like more.
        own = rng.normal(size=60)
        altered = np.repeat(own + 1, 6) + rng.normal(size=360) * 1e-3
        clean = rng.normal(size=60)
        samples = Resamples.draw(np.ones(60, dtype=bool), 160, seed)
        made_of = np.repeat(np.arange(60), 6)
        right = auroc_draws(clean, samples.of(np.arange(60)), altered, samples.of(made_of))
        low, high = interval(right)
        covered += low <= truth <= high
        alone = Resamples.draw(np.ones(420, dtype=bool), 160, seed)
        low, high = interval(
            auroc_draws(clean, alone.of(np.arange(60)), altered, alone.of(np.arange(60, 420)))
        )
        together += low <= truth <= high
    assert 0.89 <= covered / 150 <= 0.99
    assert together / 150 < 0.90


def test_interval_of_no_samples_is_unknown() -> None:
    assert np.isnan(interval(np.zeros(0))).all()


@pytest.mark.parametrize("seed", range(4))
def test_matched_confidence_takes_away_what_confidence_tells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clean, threshold = rng.beta(6, 1, 3000), rng.beta(6, 1, 2000)
    altered = rng.beta(2, 1.5, 2500)
    match = match_confidence(clean, altered, threshold)
    assert auroc(1 - clean, 1 - altered) > 0.85
    assert auroc(1 - clean, 1 - altered, match.clean, match.altered) == pytest.approx(0.5, abs=0.02)
    assert match.clean.max() <= 10
    assert match.altered.max() <= 1 + 1e-9
    assert match.clean.mean() == pytest.approx(match.matched)
    assert match.altered.mean() == pytest.approx(match.matched)
    assert 0 < match.effective_clean < 3000


def test_confidence_that_no_clean_image_has_cannot_be_matched() -> None:
    rng = np.random.default_rng(0)
    clean = rng.uniform(0.8, 1.0, 1000)
    altered = np.concatenate([rng.uniform(0.8, 1.0, 300), rng.uniform(0.2, 0.5, 700)])
    match = match_confidence(clean, altered, clean)
    assert match.matched == pytest.approx(0.3, abs=0.04)
    assert match.altered[300:].sum() < 0.05 * match.altered.sum()


def test_equal_confidence_needs_no_weights() -> None:
    values = np.linspace(0.5, 1, 500)
    match = match_confidence(values, values, values)
    assert match.matched == pytest.approx(1.0)
    assert match.clean == pytest.approx(np.ones(500))
