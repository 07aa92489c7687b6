"""Supervised detectors against the library's."""

from __future__ import annotations

import numpy as np
import pytest

from pathlens.detection.detectors.boosting import Boosting
from pathlens.detection.detectors.forest import Forest
from pathlens.detection.detectors.inputs import learn_inputs
from pathlens.detection.detectors.logistic import Logistic


def test_clean_examples_get_distances_from_models_that_have_not_seen_them(world):
    examples = learn_inputs("logistic", None, "bits", world.clean, world.attacked)
    seen = examples.inputs.table(world.clean)
    filters = world.clean.layers.filters
    np.testing.assert_allclose(seen[:, :filters], examples.table[:300, :filters], rtol=1e-6)
    assert (seen[:, filters:] != examples.table[:300, filters:]).mean() > 0.9
    np.testing.assert_array_equal(examples.table[300:], examples.inputs.table(world.attacked))


def test_logistic_is_the_library_s(world):
    from sklearn.linear_model import LogisticRegression

    examples = learn_inputs("logistic", None, "bits", world.clean, world.attacked)
    model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=500)
    model.fit(examples.table, examples.attacked)
    scores = Logistic().fit(world.clean, world.attacked).score(world.fresh)
    table = examples.inputs.table(world.fresh)
    np.testing.assert_allclose(scores, model.decision_function(table), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("values", ["bits", "scores"])
def test_trees_score_as_the_library_does(world, values):
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    examples = learn_inputs("forest", None, values, world.clean, world.attacked)
    table = examples.inputs.table(world.fresh)
    boosted = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=8,
        max_leaf_nodes=5,
        early_stopping=False,
        class_weight="balanced",
        random_state=0,
    ).fit(examples.table, examples.attacked)
    scores = (
        Boosting(values=values, rounds=8, leaves=5)
        .fit(world.clean, world.attacked)
        .score(world.fresh)
    )
    np.testing.assert_allclose(scores, boosted.decision_function(table), rtol=1e-9)
    forest = RandomForestClassifier(
        20, min_samples_leaf=3, class_weight="balanced", random_state=0, n_jobs=1
    ).fit(examples.table, examples.attacked)
    scores = Forest(values=values, trees=20).fit(world.clean, world.attacked).score(world.fresh)
    np.testing.assert_allclose(scores, forest.predict_proba(table)[:, 1], rtol=1e-9)
