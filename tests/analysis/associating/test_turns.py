"""Associations in turn: the strongest that gains, then concept by concept."""

import numpy as np
import pandas as pd

from pathlens.analysis.associating.turns import in_turn


def test_the_strongest_that_gains_is_first_then_every_concept_has_its_turn():
    rows = pd.DataFrame(
        {
            "concept": ["a", "a", "a", "b", "b", "c"],
            "phi": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
            "gain_ci_low": [np.nan, -0.1, 0.1, 0.2, np.nan, np.nan],
        },
        index=[3, 1, 4, 9, 5, 2],
    )
    assert in_turn(rows.sort_index()).index.tolist() == [4, 3, 9, 2, 1, 5]
    without = rows.assign(gain_ci_low=np.nan)
    assert in_turn(without).index.tolist() == [3, 1, 9, 2, 4, 5]
    assert in_turn(rows.head(0)).empty
