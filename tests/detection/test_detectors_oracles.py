"""Scores against slow loops."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from pathlens.detection.detectors.boosting import Boosting
from pathlens.detection.detectors.by_parts import calibrate, cross_fitted, fold_of
from pathlens.detection.detectors.class_tables import class_rates
from pathlens.detection.detectors.combined import Combined, surprise
from pathlens.detection.detectors.consistency import Consistency
from pathlens.detection.detectors.energy import Energy
from pathlens.detection.detectors.forest import Forest
from pathlens.detection.detectors.hamming import Hamming
from pathlens.detection.detectors.inputs import learn_inputs
from pathlens.detection.detectors.likelihood import Likelihood
from pathlens.detection.detectors.logistic import Logistic
from pathlens.detection.detectors.mahalanobis import Mahalanobis
from pathlens.detection.detectors.neighbours import Neighbours
from pathlens.detection.detectors.pairwise import Pairwise
from pathlens.detection.detectors.soft_likelihood import SoftLikelihood
from pathlens.detection.detectors.softmax import Softmax
from pathlens.detection.detectors.tree import chow_liu_parents
from pathlens.detection.detectors.typicality import Typicality
from pathlens.detection.detectors.values import covariance
from pathlens.detection.detectors.votes import Votes
from pathlens.detection.detectors.whitened import PathMahalanobis
from pathlens.errors import PathLensError

SOME = range(0, 300, 23)


def slow_rates(bits, predicted, prior):
    overall = [(sum(column) + 1) / (len(bits) + 2) for column in bits.T]
    rates = {}
    for c in range(3):
        rows = bits[predicted == c]
        rates[c] = [
            (rows[:, f].sum() + prior * overall[f]) / (len(rows) + prior)
            for f in range(bits.shape[1])
        ]
    return rates


def slow_by_layer(costs):
    """Sums of 6, 9 and 12 filters."""
    return [sum(costs[:6]), sum(costs[6:15]), sum(costs[15:])]


def test_hamming_is_the_expected_distance_to_a_path_of_the_class(world):
    rates = slow_rates(world.clean.path(), world.clean.predictions, prior=2.0)
    parts = Hamming().fit_model(world.clean).parts(world.attacked)
    for i in SOME:
        p = rates[world.attacked.predictions[i]]
        costs = [abs(float(z) - q) for z, q in zip(world.attacked.path()[i], p, strict=True)]
        np.testing.assert_allclose(parts[i], slow_by_layer(costs), rtol=1e-5)


def test_likelihood_is_the_sum_of_logarithms(world):
    rates = slow_rates(world.clean.path(), world.clean.predictions, prior=2.0)
    parts = Likelihood().fit_model(world.clean).parts(world.attacked)
    for i in SOME:
        p = rates[world.attacked.predictions[i]]
        pairs = zip(world.attacked.path()[i], p, strict=True)
        costs = [-math.log(q if z else 1 - q) for z, q in pairs]
        np.testing.assert_allclose(parts[i], slow_by_layer(costs), rtol=1e-5)


def test_a_gate_that_never_flipped_is_surprising_but_not_infinitely(world):
    flipped = replace(world.fresh, bits={**world.fresh.bits, "conv0": ~world.fresh.bits["conv0"]})
    parts = Likelihood().fit_model(world.clean).parts(flipped)
    assert np.isfinite(parts).all()
    assert (parts[:, 0] > 2 * math.log(250)).all()


def test_pairwise_follows_its_tree(world):
    model = Pairwise().fit_model(world.clean)
    bits, predicted = world.clean.path(), world.clean.predictions
    parts, own = model.parts(world.attacked), slow_rates(bits, predicted, prior=5.0)
    for i in SOME:
        c, path = world.attacked.predictions[i], world.attacked.path()[i]
        costs = []
        for f, parent in enumerate(model.parents):
            if parent == f:
                rate = own[c][f]
            else:
                alike = bits[:, parent] == path[parent]
                overall = (bits[alike, f].sum() + 1) / (alike.sum() + 2)
                here = alike & (predicted == c)
                rate = (bits[here, f].sum() + 5 * overall) / (here.sum() + 5)
            costs.append(-math.log(rate if path[f] else 1 - rate))
        np.testing.assert_allclose(parts[i], slow_by_layer(costs), rtol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_the_tree_is_the_heaviest_of_all_trees(seed):
    rest = np.random.default_rng(seed).standard_normal((40, 5)).astype(np.float32)
    weight = (rest.T @ rest) ** 2 / np.outer((rest**2).sum(0), (rest**2).sum(0))

    def connected(edges):
        reached = {0}
        for _ in range(5):
            reached |= {b for a, b in edges if a in reached} | {a for a, b in edges if b in reached}
        return len(reached) == 5

    pairs = list(itertools.combinations(range(5), 2))
    trees = [edges for edges in itertools.combinations(pairs, 4) if connected(edges)]
    best = max(sum(weight[a, b] for a, b in edges) for edges in trees)
    parents = chow_liu_parents(rest, [slice(0, 5)])
    found = sum(weight[f, parent] for f, parent in enumerate(parents) if f != parent)
    assert found == pytest.approx(best, rel=1e-5)
    within = chow_liu_parents(rest, [slice(0, 2), slice(2, 5)])
    assert (within[:2] < 2).all()
    assert (within[2:] >= 2).all()


def test_filters_that_never_vary_do_not_break_the_tree():
    rest = np.zeros((9, 4), dtype=np.float32)
    assert chow_liu_parents(rest, [slice(0, 4)]).tolist() == [0, 0, 0, 0]


def test_pairwise_sees_what_single_rates_cannot(world):
    rng = np.random.default_rng(0)
    bits = {key: values.copy() for key, values in world.clean.bits.items()}
    bits["conv2"][:, 5] = rng.random(300) < 0.5
    bits["conv2"][:, 6] = bits["conv2"][:, 5]
    clean = replace(world.clean, bits=bits)
    broken = replace(clean, bits={**bits, "conv2": bits["conv2"].copy()})
    broken.bits["conv2"][:, 6] ^= True
    single = Likelihood().fit(clean)
    pairs = Pairwise().fit(clean)
    assert abs(single.score(broken).mean() - single.score(clean).mean()) < 0.3
    assert (pairs.score(broken) > pairs.score(clean)).all()


def test_soft_likelihood_is_a_normal_density(world):
    scores, predicted = world.clean.path_scores().astype(float), world.clean.predictions
    parts = SoftLikelihood().fit_model(world.clean).parts(world.attacked)
    means = {}
    for c in range(3):
        rows = scores[predicted == c]
        means[c] = (rows.sum(0) + 2 * scores.mean(0)) / (len(rows) + 2)
    squares = np.stack([(x - means[c]) ** 2 for x, c in zip(scores, predicted, strict=True)])
    for i in SOME:
        c = world.attacked.predictions[i]
        of_class = squares[predicted == c]
        variance = (of_class.sum(0) + 20 * squares.mean(0)) / (len(of_class) + 20)
        rest = world.attacked.path_scores()[i] - means[c]
        costs = 0.5 * rest**2 / variance + 0.5 * np.log(variance)
        np.testing.assert_allclose(parts[i], slow_by_layer(costs), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("values", ["bits", "scores"])
@pytest.mark.parametrize("across", [True, False])
def test_whitened_distance_is_a_mahalanobis_distance(world, values, across):
    model = PathMahalanobis(values=values, across=across).fit_model(world.clean)
    x = (world.clean.path() if values == "bits" else world.clean.path_scores()).astype(float)
    y = (world.attacked.path() if values == "bits" else world.attacked.path_scores()).astype(float)
    predicted = world.clean.predictions
    means = {
        c: (x[predicted == c].sum(0) + 2 * x.mean(0)) / ((predicted == c).sum() + 2)
        for c in range(3)
    }
    rest = np.stack([v - means[c] for v, c in zip(x, predicted, strict=True)])
    parts = model.parts(world.attacked)
    blocks = [slice(0, 6), slice(6, 15), slice(15, 27)]
    for i in SOME:
        strayed = y[i] - means[world.attacked.predictions[i]]
        if across:
            # Chain rule: a layer's part is what it adds to the distance of the layers up to it.
            cov = covariance(rest.astype(np.float32))
            upto = [strayed[:n] @ np.linalg.solve(cov[:n, :n], strayed[:n]) for n in (6, 15, 27)]
            expected = np.diff([0.0, *upto])
        else:
            expected = [
                strayed[b] @ np.linalg.solve(covariance(rest[:, b].astype(np.float32)), strayed[b])
                for b in blocks
            ]
        np.testing.assert_allclose(parts[i], expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("values", ["bits", "scores"])
def test_neighbours_are_the_nearest_of_the_class(world, values):
    model = Neighbours(values=values, nearest=4).fit_model(world.clean)
    x = world.clean.path() if values == "bits" else world.clean.path_scores() / model.scales
    y = world.attacked.path() if values == "bits" else world.attacked.path_scores() / model.scales
    parts = model.parts(world.attacked)
    for i in SOME:
        known = x[world.clean.predictions == world.attacked.predictions[i]]
        distances = sorted(float(((k.astype(float) - y[i]) ** 2).sum()) for k in known)
        assert parts[i, 0] == pytest.approx(np.mean(distances[:4]), rel=1e-4)


def test_neighbours_keep_a_seeded_sample(world):
    few = Neighbours(most=20, seed=3).fit_model(world.clean)
    assert len(few.known) == 3 * 20 + 20
    again = Neighbours(most=20, seed=3).fit_model(world.clean)
    np.testing.assert_array_equal(few.known, again.known)
    assert (few.known != Neighbours(most=20, seed=4).fit_model(world.clean).known).any()


def test_votes_are_log_odds_of_normal_classes(world):
    model = Votes(values="scores").fit_model(world.clean)
    predicted, parts = world.clean.predictions, model.parts(world.attacked)
    x, y = (d.scores["conv1"].astype(float) for d in (world.clean, world.attacked))
    means = [
        (x[predicted == c].sum(0) + 2 * x.mean(0)) / ((predicted == c).sum() + 2) for c in range(3)
    ]
    rest = np.stack([v - means[c] for v, c in zip(x, predicted, strict=True)])
    precision = np.linalg.inv(covariance(rest.astype(np.float32)))
    for i in SOME:
        logs = [-0.5 * (y[i] - m) @ precision @ (y[i] - m) for m in means]
        c = world.attacked.predictions[i]
        others = max(v for k, v in enumerate(logs) if k != c)
        assert parts[i, 1] == pytest.approx(others - logs[c], abs=2e-3, rel=1e-3)


def test_typicality_is_a_mahalanobis_distance_of_parts(world):
    fitted = Typicality().fit(world.clean)
    votes = Votes().fit(world.clean)
    raw = cross_fitted(Votes().fit_model, world.clean)
    calibration = calibrate(raw, world.clean.predictions, 3)
    cov = covariance(calibration.apply(raw, world.clean.predictions))
    strayed = votes.parts(world.attacked)
    for i, score in enumerate(fitted.score(world.attacked)):
        assert score == pytest.approx(strayed[i] @ np.linalg.solve(cov, strayed[i]), rel=1e-6)


def test_consistency_sees_doubt_and_excess(world):
    fitted = Consistency(values="scores").fit(world.clean)
    early, late = fitted.halves.early.layers.names, fitted.halves.late.layers.names
    assert (early, late) == (["conv0"], ["conv2"])
    center = world.clean.scores["conv2"].mean(axis=0)
    surer = replace(
        world.fresh,
        scores={**world.fresh.scores, "conv2": center + 3 * (world.fresh.scores["conv2"] - center)},
    )
    assert fitted.score(surer).mean() > fitted.score(world.fresh).mean() + 1
    doubted = replace(
        world.fresh, scores={**world.fresh.scores, "conv0": world.attacked.scores["conv0"]}
    )
    assert fitted.score(doubted).mean() > fitted.score(world.fresh).mean() + 0.3


def test_consistency_needs_two_layers(world):
    with pytest.raises(PathLensError, match="at least 2 layers"):
        Consistency(layers=(1,)).fit(world.clean)


def test_softmax_and_energy_are_what_they_are_called(world):
    softmax = Softmax().fit(world.clean).score(world.attacked)
    energy = Energy().fit(world.clean).score(world.attacked)
    for i in SOME:
        exps = [math.exp(v) for v in world.attacked.logits[i]]
        assert softmax[i] == pytest.approx(1 - max(exps) / sum(exps), rel=1e-6)
        assert energy[i] == pytest.approx(-math.log(sum(exps)), rel=1e-6)


def test_softmax_keeps_the_order_of_images_it_is_very_sure_of(world):
    sure = np.zeros((300, 3), dtype=np.float32)
    sure[:, 0] = np.linspace(60, 90, 300)
    scores = Softmax().fit(world.clean).score(replace(world.fresh, logits=sure))
    assert (np.diff(scores) < 0).all()


@pytest.mark.parametrize("to", ["predicted", "nearest"])
def test_mahalanobis_of_features(world, to):
    scores = Mahalanobis(to=to).fit(world.clean).score(world.attacked)
    x, predicted = world.clean.features.astype(float), world.clean.predictions
    means = np.stack([x[predicted == c].mean(0) for c in range(3)])
    precision = np.linalg.inv(covariance(x - means[predicted]))
    for i in SOME:
        rest = world.attacked.features[i] - means
        distances = [v @ precision @ v for v in rest]
        best = distances[world.attacked.predictions[i]] if to == "predicted" else min(distances)
        assert scores[i] == pytest.approx(best, rel=1e-4)


def test_folds_hold_every_class_and_parts_come_from_the_others(world):
    predicted = world.clean.predictions
    folds = fold_of(predicted)
    for c in range(3):
        assert np.ptp(np.bincount(folds[predicted == c], minlength=5)) <= 1
    parts = cross_fitted(Likelihood().fit_model, world.clean)
    held = folds == 2
    others = Likelihood().fit_model(world.clean.take(~held))
    np.testing.assert_allclose(parts[held], others.parts(world.clean.take(held)))


def test_calibration_gives_clean_images_mean_0_and_deviation_1(world):
    fitted = SoftLikelihood().fit(world.clean)
    fresh = np.concatenate([fitted.score(make.fresh) for make in [world]])
    assert abs(fresh.mean()) < 0.3
    assert abs(fresh.std() - 1) < 0.2


def test_rates_are_drawn_to_the_overall_ones_where_images_are_few():
    bits = np.array([[True], *[[False]] * 9])
    predicted = np.array([0] + [1] * 9)
    rates = class_rates(bits, predicted, 3, prior=2.0)[:, 0]
    overall = 2 / 12
    expected = [(1 + 2 * overall) / 3, 2 * overall / 11, overall, overall]
    np.testing.assert_allclose(rates, expected)


def test_surprise_is_two_sided_and_goes_on_beyond_the_clean_images():
    clean = np.arange(99.0)
    found = surprise(np.array([49.0, 0.0, 98.0, 200.0, -200.0, 300.0]), clean)
    assert found[0] == pytest.approx(-math.log(min(2 * 50 / 100, 1)))
    assert found[1] == found[2] == pytest.approx(-math.log(2 / 100))
    assert found[3] < found[5]
    assert found[4] > found[3] > found[2]


def test_a_combination_by_sum_adds_standardised_scores(world):
    members = (Likelihood(), Energy())
    fitted = Combined(members=members, rule="sum").fit(world.clean)
    expected = 0
    for position, member in enumerate(members):
        own = member.fit(world.clean).score(world.fresh)
        expected = expected + (own - fitted.clean[position].mean()) / fitted.clean[position].std()
    np.testing.assert_allclose(fitted.score(world.fresh), expected)


def test_a_combination_refuses_supervised_members(world):
    with pytest.raises(PathLensError, match="attacked"):
        Combined(members=(Logistic(), Energy())).fit(world.clean)


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
