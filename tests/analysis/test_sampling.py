from collections import Counter

import numpy as np
import pandas as pd
import pytest

from pathlens.analysis.sampling import balanced_rows, grouping


@pytest.mark.parametrize("seed", range(6))
def test_rows_are_even_over_groups_sorted_and_unique(seed):
    generator = np.random.default_rng(seed)
    groups = generator.choice(4, size=200, p=[0.7, 0.2, 0.08, 0.02])
    rows = balanced_rows(groups, 200, 60, seed)
    assert len(set(rows)) == len(rows) == 60
    keys = [(groups[row], row) for row in rows]
    assert keys == sorted(keys)
    have, kept = Counter(groups), Counter(groups[rows])
    # Even: a group gives all it has, or no fewer than any other group less one.
    most = max(kept.values())
    assert all(kept[group] == have[group] or kept[group] >= most - 1 for group in have)


def test_all_rows_where_there_are_few_and_the_seed_decides_where_there_are_many():
    groups = np.array([1, 0, 1, 0])
    assert balanced_rows(groups, 4, 10, 0).tolist() == [1, 3, 0, 2]
    first, again, other = (balanced_rows(None, 500, 50, seed) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_grouping_prefers_labels_then_predictions_then_nothing():
    both = pd.DataFrame({"label": [1.0, np.nan], "prediction": [0, 0]})
    name, values = grouping(both)
    assert (name, values.tolist()) == ("label", [1, -1])
    assert grouping(both[["prediction"]])[0] == "prediction"
    assert grouping(both[[]]) == (None, None)
