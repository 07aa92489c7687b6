"""Quantiles, IoU and ceiling against loops over pixels."""

import numpy as np
import pytest

from pathlens.probing.map_thresholds import (
    BINS,
    QUANTILES,
    best_quantile,
    bins_of,
    ceiling,
    histogram,
    iou,
    lower_edge,
    thresholds,
)


def pixels(seed, count=2000, off=0.3):
    rng = np.random.default_rng(seed)
    values = rng.exponential(2.0, count).astype(np.float32)
    values[rng.random(count) < off] = 0
    return values


def slow_threshold(values, share):
    """The lowest bin edge at or above which a share of values lies that is closest to this one."""
    wanted = share * len(values)
    numbers = {1, *(int(number) + 1 for number in bins_of(values))}  # between them nothing changes
    counts = {k: sum(value >= lower_edge(k) for value in values) for k in numbers}
    return min(counts, key=lambda number: (abs(counts[number] - wanted), counts[number], number))


def test_bins_are_in_the_order_of_the_values_and_narrow():
    values = np.sort(pixels(0))
    bins = bins_of(values)
    assert (np.diff(bins) >= 0).all()
    assert (bins[values == 0] == 0).all()
    for value, number in zip(values[values > 0], bins[values > 0], strict=True):
        assert lower_edge(number) <= value < lower_edge(number) * 1.008


@pytest.mark.parametrize("value", [0.0, -0.0, -3.0, 1e-30, -np.inf])
def test_what_is_no_response_is_in_no_bin_that_can_be_on(value):
    assert bins_of(np.array([value], dtype=np.float32)) == 0


def test_huge_values_stay_in_the_last_bin():
    assert bins_of(np.array([1e30, np.inf], dtype=np.float32)).tolist() == [BINS - 1] * 2


@pytest.mark.parametrize("seed", range(3))
def test_thresholds_come_closest_to_their_share(seed):
    # Small values of few different sizes: the loop over bins ends soon, and most shares are missed.
    rng = np.random.default_rng(seed)
    values = np.exp2(rng.choice([-30, -19, -18, -15, -10], 300)).astype(np.float32)
    found = thresholds(histogram(bins_of(values)))
    assert found.tolist() == [slow_threshold(values, share) for share in QUANTILES]


@pytest.mark.parametrize("seed", range(3))
def test_thresholds_are_the_quantiles_of_the_values(seed):
    values = pixels(seed, 20_000)
    found = thresholds(histogram(bins_of(values)))
    for share, number in zip(QUANTILES, found, strict=True):
        assert lower_edge(number) == pytest.approx(np.quantile(values, 1 - share), rel=0.02)


def test_a_unit_that_hardly_responds_is_on_wherever_it_does():
    values = pixels(0, 1000, off=0.97)
    found = thresholds(histogram(bins_of(values)))
    assert found[-1] == 1
    assert (values >= lower_edge(1)).sum() == (values > 0).sum()
    assert thresholds(np.bincount([0] * 50, minlength=BINS)).tolist() == [1] * len(QUANTILES)


def slow_best(values, labelled, concept):
    """The quantile with the largest IoU, pixel by pixel."""
    scores = []
    for number in thresholds(histogram(bins_of(values))):
        both = either = 0
        for value, known, has in zip(values, labelled, concept, strict=True):
            on = known and value >= lower_edge(number)
            both += on and has
            either += on or has
        scores.append(both / either if either else 0.0)
    best = max(scores)
    return QUANTILES[scores.index(best)], scores


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.01, 0.08, 0.4])
def test_the_best_quantile_is_that_of_a_loop_over_pixels(seed, share):
    rng = np.random.default_rng(100 + seed)
    values = pixels(seed)
    labelled = rng.random(len(values)) < 0.8
    strong = values + rng.normal(0, 1, len(values)) > np.quantile(values, 1 - share)
    concept = strong & labelled
    bins = bins_of(values)
    found = best_quantile(histogram(bins), histogram(bins[labelled]), histogram(bins[concept]))
    wanted, scores = slow_best(values, labelled, concept)
    assert found[0] == wanted
    assert found[1] == thresholds(histogram(bins))[QUANTILES.index(wanted)]
    assert max(scores) > min(scores)  # else nothing was chosen


def test_without_the_concept_the_smallest_quantile_is_taken():
    counts = histogram(bins_of(pixels(0)))
    assert best_quantile(counts, counts, np.zeros(BINS, dtype=np.int64))[0] == QUANTILES[0]


def test_iou_of_counts():
    assert iou(2, 3, 5) == pytest.approx(2 / 6)
    assert np.isnan(iou(0, 0, 0))


@pytest.mark.parametrize(("on", "has"), [(0.005, 0.25), (0.2, 0.05), (0.1, 0.1), (0.0, 0.3)])
def test_the_ceiling_is_what_the_best_placed_pixels_reach(on, has):
    size = 1000
    concept = np.arange(size) < has * size
    best = max(
        (concept & unit).sum() / (concept | unit).sum()
        for unit in (np.roll(np.arange(size) < on * size, shift) for shift in range(size))
    )
    assert ceiling(on, has) == pytest.approx(best)


def test_no_ceiling_without_concept_and_unit():
    assert np.isnan(ceiling(0.0, 0.0))
