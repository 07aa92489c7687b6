"""Detectors on gate rates and densities against slow loops."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from pathlens.detection.detectors.by_parts import cross_fitted, fold_of
from pathlens.detection.detectors.class_tables import class_rates
from pathlens.detection.detectors.hamming import Hamming
from pathlens.detection.detectors.likelihood import Likelihood
from pathlens.detection.detectors.pairwise import Pairwise
from pathlens.detection.detectors.soft_likelihood import SoftLikelihood
from pathlens.detection.detectors.tree import chow_liu_parents

SOME = range(0, 300, 23)


def slow_by_layer(costs):
    """Sums of 6, 9 and 12 filters."""
    return [sum(costs[:6]), sum(costs[6:15]), sum(costs[15:])]


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


def test_rates_are_drawn_to_the_overall_ones_where_images_are_few():
    bits = np.array([[True], *[[False]] * 9])
    predicted = np.array([0] + [1] * 9)
    rates = class_rates(bits, predicted, 3, prior=2.0)[:, 0]
    overall = 2 / 12
    expected = [(1 + 2 * overall) / 3, 2 * overall / 11, overall, overall]
    np.testing.assert_allclose(rates, expected)


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


def test_folds_hold_every_class_and_parts_come_from_the_others(world):
    predicted = world.clean.predictions
    folds = fold_of(predicted)
    for c in range(3):
        assert np.ptp(np.bincount(folds[predicted == c], minlength=5)) <= 1
    (parts,) = cross_fitted(Likelihood().fit_model, world.clean)
    held = folds == 2
    others = Likelihood().fit_model(world.clean.take(~held))
    np.testing.assert_allclose(parts[held], others.parts(world.clean.take(held)))


def test_calibration_gives_clean_images_mean_0_and_deviation_1(world):
    fitted = SoftLikelihood().fit(world.clean)
    fresh = np.concatenate([fitted.score(make.fresh) for make in [world]])
    assert abs(fresh.mean()) < 0.3
    assert abs(fresh.std() - 1) < 0.2
