"""Every detector of the registry alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pathlens.detection.data import DetectionData
from pathlens.detection.detectors import BASELINES, DETECTORS, find_detector
from pathlens.detection.detectors.boosting import Boosting
from pathlens.detection.detectors.forest import Forest
from pathlens.detection.detectors.votes import Votes
from pathlens.errors import PathLensError
from tests.detection.conftest import auroc, make_world

QUICK = {"forest": Forest(trees=15), "boosting": Boosting(rounds=12, leaves=4)}
# The trees on scores differ from these in `values` alone, which an oracle covers.
ALL = {k: v for k, v in (DETECTORS | QUICK).items() if k not in ("soft-forest", "soft-boosting")}
ON_PATHS = [name for name in ALL if name not in BASELINES]
ON_CLEAN = [name for name in ON_PATHS if not ALL[name].supervised]


def fitted_on(name, clean, attacked):
    return ALL[name].fit(clean, attacked if ALL[name].supervised else None)


@pytest.mark.parametrize("name", ON_CLEAN)
def test_planted_attacks_are_found_over_seeds(name):
    found = []
    for seed in range(3):
        world = make_world(seed)
        fitted = ALL[name].fit(world.clean)
        found.append(auroc(fitted.score(world.fresh), fitted.score(world.attacked)))
    # Of three layers a consistency sees the first and the last; a combination sees what is rare.
    weak = "combined" in name or "consistency" in name
    assert np.mean(found) > (0.58 if weak else 0.75), found


@pytest.mark.parametrize("name", [x for x in ON_PATHS if ALL[x].supervised])
def test_supervised_detectors_find_attacks_on_other_images(name):
    world, other = make_world(1), make_world(1, images=500)
    fitted = ALL[name].fit(other.clean, other.attacked.take(np.arange(250)))
    found = auroc(fitted.score(other.fresh), fitted.score(other.attacked.take(np.arange(250, 500))))
    assert found > 0.8
    assert len(fitted.score(world.fresh)) == 300


@pytest.mark.parametrize("name", ON_PATHS)
def test_images_like_the_clean_ones_are_not_told_apart(name):
    found = []
    for seed in range(3):
        world = make_world(seed, mixing=0.0)
        half = np.arange(300) < 150
        learn = world.attacked.take(half) if ALL[name].supervised else None
        fitted = ALL[name].fit(world.clean, learn)
        found.append(auroc(fitted.score(world.fresh), fitted.score(world.attacked.take(~half))))
    # Standard error of the mean of three is near 0.017.
    assert abs(np.mean(found) - 0.5) < 0.06, found


@pytest.mark.parametrize("name", ALL)
def test_scores_are_finite_repeat_and_do_not_depend_on_the_batch(name, world):
    fitted = fitted_on(name, world.clean, world.attacked)
    scores = fitted.score(world.attacked)
    assert scores.dtype == np.float64
    assert scores.shape == (300,)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(
        fitted_on(name, world.clean, world.attacked).score(world.attacked), scores
    )
    order = np.random.default_rng(0).permutation(300)
    np.testing.assert_allclose(
        fitted.score(world.attacked.take(order)), scores[order], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        fitted.score(world.attacked.take([7])), scores[[7]], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("name", ALL)
def test_parts_by_layer_add_up_to_the_score(name, world):
    fitted = fitted_on(name, world.clean, world.attacked)
    parts = fitted.by_layer(world.attacked)
    if parts is not None:
        assert parts.shape == (300, len(fitted.layers))
        np.testing.assert_allclose(parts.sum(axis=1), fitted.score(world.attacked), rtol=1e-9)


@pytest.mark.parametrize("name", ["hamming", "likelihood", "pairwise", "one-class", "votes"])
def test_detectors_on_gates_have_parts_by_layer(name, world):
    assert fitted_on(name, world.clean, None).by_layer(world.fresh).shape == (300, 3)


@pytest.mark.parametrize("name", ["hamming", "likelihood", "pairwise", "soft-likelihood", "votes"])
def test_clean_images_of_every_class_score_alike(name, world):
    scores = DETECTORS[name].fit(world.clean).score(world.fresh)
    centres = [scores[world.fresh.predictions == c].mean() for c in range(3)]
    assert np.ptp(centres) < 0.6


@pytest.mark.parametrize("each", [1, 5, 10])
@pytest.mark.parametrize("name", ON_CLEAN)
def test_few_images_of_a_class_are_enough_to_fit(name, each, world):
    rows = np.concatenate([np.flatnonzero(world.clean.predictions == c)[:each] for c in range(3)])
    fitted = ALL[name].fit(world.clean.take(rows))
    scores = fitted.score(world.fresh), fitted.score(world.attacked)
    assert np.isfinite(np.concatenate(scores)).all()
    if each == 10 and not any(x in name for x in ("combined", "typicality", "consistency")):
        assert auroc(*scores) > 0.6


@pytest.mark.parametrize("name", ALL)
def test_a_class_that_fitting_has_not_seen_is_scored(name, world):
    seen = world.clean.predictions < 2
    fitted = fitted_on(name, world.clean.take(seen), world.attacked)
    assert np.isfinite(fitted.score(world.fresh)).all()


@pytest.mark.parametrize("name", ALL)
def test_a_predicted_class_beyond_the_named_ones_is_scored(name, world):
    fitted = fitted_on(name, world.clean, world.attacked)
    strange = replace(world.fresh, images=world.fresh.images.assign(prediction=7))
    assert np.isfinite(fitted.score(strange)).all()


@pytest.mark.parametrize("name", ALL)
def test_one_class_only_is_enough(name, world):
    one = world.clean.take(world.clean.predictions == 0)
    bare = replace(one, classes=())
    fitted = fitted_on(name, bare, world.attacked)
    assert np.isfinite(fitted.score(world.fresh)).all()


@pytest.mark.parametrize("name", [x for x in ALL if x not in ("softmax", "energy")])
def test_no_images_to_fit_on_is_told(name, world):
    with pytest.raises(PathLensError, match="at least 2"):
        fitted_on(name, world.clean.take([0]), world.attacked)


@pytest.mark.parametrize("name", [x for x in ALL if ALL[x].supervised])
def test_supervised_detectors_ask_for_attacked_images(name, world):
    with pytest.raises(PathLensError, match="attacked images"):
        ALL[name].fit(world.clean)


@pytest.mark.parametrize("name", ALL)
def test_missing_floats_are_told(name, world):
    def bare(data: DetectionData) -> DetectionData:
        return replace(data, scores=None, features=None, logits=None)

    if name in BASELINES or name.startswith("soft") or "combined" in name:
        with pytest.raises(PathLensError, match="record --with"):
            fitted_on(name, bare(world.clean), bare(world.attacked))
    else:
        fitted = fitted_on(name, bare(world.clean), bare(world.attacked))
        np.testing.assert_allclose(
            fitted.score(bare(world.fresh)),
            fitted_on(name, world.clean, world.attacked).score(world.fresh),
        )


@pytest.mark.parametrize("name", ON_PATHS)
def test_chosen_layers_alone_are_looked_at(name, world):
    if name in ("typicality", "soft-typicality", "combined", "soft-combined"):
        return
    chosen = replace(ALL[name], layers=(2, "conv2"))
    fitted = chosen.fit(world.clean, world.attacked if chosen.supervised else None)
    assert fitted.layers.names == ["conv1", "conv2"]
    flipped = replace(
        world.fresh,
        bits={**world.fresh.bits, "conv0": ~world.fresh.bits["conv0"]},
        scores={**world.fresh.scores, "conv0": -world.fresh.scores["conv0"]},
    )
    np.testing.assert_array_equal(fitted.score(flipped), fitted.score(world.fresh))


def test_a_recording_of_another_network_is_refused(world):
    fitted = DETECTORS["likelihood"].fit(world.clean)
    first = replace(world.fresh, bits={"conv0": world.fresh.bits["conv0"]})
    narrow = replace(first, layers=type(world.fresh.layers)([world.fresh.layers[0]]))
    with pytest.raises(PathLensError, match="no layer conv1"):
        fitted.score(narrow)


def test_names_are_keys_and_unknown_ones_list_the_nearest():
    assert all(name == detector.name for name, detector in DETECTORS.items())
    assert find_detector("votes") == Votes()
    with pytest.raises(PathLensError, match="likelihood"):
        find_detector("likelyhood")
