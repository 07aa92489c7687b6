"""Supervised detectors against the library's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pathlens.detection.detectors.boosting import Boosting
from pathlens.detection.detectors.forest import Forest
from pathlens.detection.detectors.inputs import learn_inputs
from pathlens.detection.detectors.logistic import Logistic
from pathlens.detection.detectors.tree_arrays import Tree, joined_trees
from tests.detection.conftest import make_world


def test_examples_get_distances_from_models_that_have_not_seen_them(world):
    examples = learn_inputs("logistic", None, "bits", world.clean, world.attacked)
    filters = world.clean.layers.filters
    for images, rows in ((world.clean, slice(300)), (world.attacked, slice(300, None))):
        seen = examples.inputs.table(images)
        np.testing.assert_allclose(seen[:, :filters], examples.table[rows, :filters], rtol=1e-6)
        assert (seen[:, filters:] != examples.table[rows, filters:]).mean() > 0.9


@pytest.mark.parametrize("values", ["bits", "scores"])
def test_what_an_attack_left_as_it_was_has_the_inputs_of_its_source(world, values):
    order = np.random.default_rng(0).permutation(len(world.clean))[:120]
    copies = world.clean.take(order)
    images = copies.images.assign(
        source_image=copies.images["image"], image=[f"attacked/{i}" for i in range(len(copies))]
    )
    examples = learn_inputs("forest", None, values, world.clean, replace(copies, images=images))
    np.testing.assert_array_equal(examples.table[300:], examples.table[order])


@pytest.mark.parametrize("seed", range(3))
def test_trees_learn_nothing_where_nothing_was_attacked(seed):
    world = make_world(seed, images=600, mixing=0.0)
    half = np.arange(600) < 300
    fitted = Boosting(rounds=40).fit(world.clean, world.fresh.take(half))
    # No sign says which model measured an image: new ones are taken for neither kind.
    assert abs(np.median(fitted.score(world.fresh.take(~half)))) < 0.6


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


def test_a_threshold_between_two_single_precision_numbers_parts_them():
    below = np.float32(0.1)
    above = np.nextafter(below, np.float32(1))
    between = [(float(below) + float(above)) / 2 + shift * 1e-12 for shift in (-900, 0, 900)]
    stumps = [stump(threshold) for threshold in (*between, float(below), float(above))]
    table = np.array([[below], [above]], dtype=np.float32)
    found = joined_trees(stumps).sums(table)
    expected = [
        sum(float(value) > float(stump.threshold[0]) for stump in stumps) for value in table[:, 0]
    ]
    assert found.tolist() == expected == [0, 4]


def stump(threshold):
    """A tree that adds 1 above a threshold."""
    return Tree(
        feature=np.array([0, -1, -1]),
        threshold=np.array([threshold, 0.0, 0.0]),
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        value=np.array([0.0, 0.0, 1.0]),
    )


@pytest.mark.parametrize("seed", range(3))
def test_images_walk_down_trees_of_any_depth(seed):
    rng = np.random.default_rng(seed)
    trees = [random_tree(rng, depth) for depth in (0, 1, 4, 5, 9)]
    table = rng.standard_normal((301, 6)).astype(np.float32)
    found = joined_trees(trees).sums(table)
    expected = [sum(leaf_value(tree, row) for tree in trees) for row in table]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert joined_trees(trees).sums(table[:0]).shape == (0,)


def leaf_value(tree, row):
    node = 0
    while tree.feature[node] >= 0:
        right = row[tree.feature[node]] > tree.threshold[node]
        node = tree.right[node] if right else tree.left[node]
    return tree.value[node]


def random_tree(rng, depth):
    """A chain of inner nodes with a leaf at each side; `depth` steps to the last."""
    nodes = 2 * depth + 1
    inner = np.arange(nodes) % 2 == 0
    inner[-1] = False
    left = np.where(inner, np.arange(nodes) + 1, -1)
    right = np.where(inner, np.arange(nodes) + 2, -1)
    return Tree(
        feature=np.where(inner, rng.integers(0, 6, nodes), -1),
        threshold=rng.standard_normal(nodes) - 1,
        left=left,
        right=right,
        value=rng.standard_normal(nodes),
    )
