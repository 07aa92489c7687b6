from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pathlens.detection.detectors import BASELINES, DETECTORS
from pathlens.detection.saving import SavedDetector, load_detector, save_detector
from pathlens.errors import PathLensError
from tests.detection.conftest import auroc

NAMES = ("softmax-two-sided", "energy-two-sided")
SOME = range(0, 300, 23)


def one_sided(name, logits):
    exps = [math.exp(x) for x in logits]
    if name.startswith("energy"):
        return -math.log(sum(exps))
    rest = sum(exps) - max(exps)
    return math.log(rest / max(exps))


@pytest.mark.parametrize("name", NAMES)
def test_score_is_the_distance_from_the_median_of_the_predicted_class(name, world):
    found = DETECTORS[name].fit(world.clean).score(world.attacked)
    values = [one_sided(name, x) for x in world.clean.logits.astype(float)]
    for i in SOME:
        label = world.attacked.predictions[i]
        mine = sorted(v for v, p in zip(values, world.clean.predictions, strict=True) if p == label)
        middle = (mine[(len(mine) - 1) // 2] + mine[len(mine) // 2]) / 2
        wanted = abs(one_sided(name, world.attacked.logits[i].astype(float)) - middle)
        assert found[i] == pytest.approx(wanted, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_images_that_are_too_sure_are_found(name, world):
    surer = replace(world.fresh, logits=world.fresh.logits * 3)
    two = DETECTORS[name].fit(world.clean)
    one = DETECTORS[name.removesuffix("-two-sided")].fit(world.clean)
    assert auroc(two.score(world.fresh), two.score(surer)) > 0.9
    assert auroc(one.score(world.fresh), one.score(surer)) < 0.1
    unsure = replace(world.fresh, logits=world.fresh.logits / 4)
    assert auroc(two.score(world.fresh), two.score(unsure)) > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_they_are_baselines_that_are_saved_as_others_are(name, world, tmp_path):
    assert name in BASELINES
    fitted = DETECTORS[name].fit(world.clean)
    loaded = load_detector(save_detector(tmp_path, SavedDetector(DETECTORS[name], fitted)))
    assert loaded.detector == DETECTORS[name]
    np.testing.assert_array_equal(loaded.fitted.score(world.fresh), fitted.score(world.fresh))


def test_logits_of_any_size_have_a_finite_score(world):
    huge = np.zeros_like(world.fresh.logits)
    huge[:, 0] = 3000
    scores = DETECTORS[NAMES[0]].fit(world.clean).score(replace(world.fresh, logits=huge))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_there_is_no_score_in_torch_and_that_is_said(name, world):
    torch = pytest.importorskip("torch")
    from pathlens.detection.differentiable import torch_score

    with pytest.raises(PathLensError, match="FittedTwoSided has no gradient"):
        torch_score(DETECTORS[name].fit(world.clean), torch.nn.Linear(2, 2))
