"""Detectors on distances, votes and their consistency against slow loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pathlens.detection.detectors.by_parts import calibrate, cross_fitted
from pathlens.detection.detectors.consistency import Consistency
from pathlens.detection.detectors.neighbours import Neighbours
from pathlens.detection.detectors.typicality import Typicality
from pathlens.detection.detectors.values import covariance
from pathlens.detection.detectors.votes import Votes
from pathlens.detection.detectors.whitened import PathMahalanobis
from pathlens.errors import PathLensError

SOME = range(0, 300, 23)


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
    (raw,) = cross_fitted(Votes().fit_model, world.clean)
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
