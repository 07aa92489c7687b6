"""The read-out of a concept: definitions, the choice of its strength, AUROC against pairs."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pathlens.probing.read_out import STRENGTHS, auroc, fit_read_out


def drawn(seed, images=200, signal=1.5):
    rng = np.random.default_rng(seed)
    features = rng.normal(3.0, [1, 5, 0.1, 2], (images, 4))
    has = signal * (features[:, 1] - 3) / 5 + rng.normal(size=images) > 0
    return features, has, np.arange(images)


@pytest.mark.parametrize("seed", range(3))
def test_log_odds_are_those_of_a_standardised_logistic_regression(seed):
    features, has, groups = drawn(seed)
    found = fit_read_out(features, has, groups, seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=found.strength)).fit(features, has)
    np.testing.assert_allclose(
        found.log_odds(features), model.decision_function(features), atol=1e-3
    )
    assert found.images == 200
    assert auroc(found.log_odds(features), has) > 0.8


def test_what_never_changes_says_nothing_when_it_changes_later():
    features, has, groups = drawn(0)
    features[:, 2] = 7.0
    found = fit_read_out(features, has, groups)
    later = features.copy()
    later[:, 2] = -100.0
    np.testing.assert_array_equal(found.log_odds(features), found.log_odds(later))


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_read_with_little_strength_and_a_signal_with_more(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(300, 40))
    noise, groups = rng.random(300) < 0.5, np.arange(300)
    assert fit_read_out(features, noise, groups, seed).strength <= 1e-2
    assert fit_read_out(features, features[:, 0] > 0, groups, seed).strength >= 1


def test_images_of_one_group_are_in_one_fold():
    rng = np.random.default_rng(0)
    video = np.repeat(np.arange(20), 10)
    has = (video % 2).astype(bool)
    features = rng.normal(size=(20, 30))[video] + 0.01 * rng.normal(size=(200, 30))
    # Frames of a known video give the answer away; videos that were never seen do not.
    assert fit_read_out(features, has, np.arange(200)).strength == max(STRENGTHS)
    assert fit_read_out(features, has, video).strength <= 1e-2


def test_where_a_side_is_one_group_the_smallest_strength_is_taken():
    features, has, _ = drawn(0)
    assert fit_read_out(features, has, has.astype(np.int64)).strength == min(STRENGTHS)


def test_few_images_with_the_concept_are_enough():
    features, _, groups = drawn(0, images=60)
    has = np.arange(60) < 2
    assert np.isfinite(fit_read_out(features, has, groups).log_odds(features)).all()


@pytest.mark.parametrize("seed", range(3))
def test_auroc_counts_pairs(seed):
    rng = np.random.default_rng(seed)
    scores, has = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[has] for b in scores[~has]]
    assert auroc(scores, has) == pytest.approx(np.mean(pairs))
    assert np.isnan(auroc(scores, np.ones(40, dtype=bool)))
