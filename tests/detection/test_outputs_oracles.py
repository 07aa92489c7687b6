"""Detectors on the output, and combinations, against slow loops."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pathlens.detection.detectors.combined import Combined, surprise
from pathlens.detection.detectors.energy import Energy
from pathlens.detection.detectors.likelihood import Likelihood
from pathlens.detection.detectors.logistic import Logistic
from pathlens.detection.detectors.mahalanobis import Mahalanobis
from pathlens.detection.detectors.softmax import Softmax
from pathlens.detection.detectors.values import covariance
from pathlens.errors import PathLensError

SOME = range(0, 300, 23)


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
