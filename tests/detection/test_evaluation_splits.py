from __future__ import annotations

import numpy as np
import pytest

from pathlens.detection.evaluation.splits import FIT, TEST, THRESHOLD, Shares, split_sources
from pathlens.errors import PathLensError


@pytest.mark.parametrize("seed", range(5))
def test_every_class_is_divided_by_the_same_shares(seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.arange(1000) % 10)
    parts = split_sources(labels, np.zeros(1000, dtype=np.int64), seed, Shares(0.2, 0.3, 0.5))
    for label in range(10):
        counts = np.bincount(parts[labels == label], minlength=3)
        assert counts.tolist() == [20, 30, 50]


def test_seed_alone_decides() -> None:
    labels = np.arange(300) % 3
    none = np.zeros(300, dtype=np.int64)
    first, again, other = (split_sources(labels, none, seed) for seed in (4, 4, 5))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("seed", range(3))
def test_thresholds_take_sources_of_which_nothing_was_altered_first(seed: int) -> None:
    labels = np.arange(2000) % 4
    patterns = (np.arange(2000) < 1200).astype(np.int64)
    parts = split_sources(labels, patterns, seed, Shares(0.2, 0.3, 0.5))
    assert (parts[:1200] != THRESHOLD).all()
    assert (parts == THRESHOLD).sum() == 600
    assert (parts[:1200] == TEST).mean() == pytest.approx(5 / 7, abs=0.02)
    assert (parts[1200:] == FIT).sum() > 0


@pytest.mark.parametrize("seed", range(3))
def test_a_small_set_is_divided_as_evenly_as_a_large_one(seed: int) -> None:
    labels = np.arange(3000) % 10
    patterns = np.ones(3000, dtype=np.int64)
    patterns[np.random.default_rng(seed).permutation(3000)[:300]] = 2
    parts = split_sources(labels, patterns, seed, Shares(0.25, 0.25, 0.5))
    counts = np.bincount(parts[patterns == 2], minlength=3)
    assert counts == pytest.approx([75, 75, 150], abs=15)


def test_small_classes_have_a_source_in_every_part() -> None:
    labels = np.repeat([0, 1, 2], 3)
    parts = split_sources(labels, np.zeros(9, dtype=np.int64), 0)
    for label in range(3):
        assert sorted(parts[labels == label]) == [FIT, THRESHOLD, TEST]


@pytest.mark.parametrize("count", [1, 2])
def test_a_class_of_one_or_two_sources_is_divided_without_error(count: int) -> None:
    parts = split_sources(np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64), 0)
    assert TEST in parts


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.0), (0.5, 0.5, 0.5)])
def test_shares_that_are_none_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(PathLensError, match="add up to 1"):
        Shares(*shares)
