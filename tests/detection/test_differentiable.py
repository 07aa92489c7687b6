from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from pathlens.detection.data import DetectionData
from pathlens.detection.detectors import DETECTORS
from pathlens.detection.detectors.combined import Combined
from pathlens.detection.detectors.forest import Forest
from pathlens.detection.detectors.likelihood import Likelihood
from pathlens.detection.detectors.mahalanobis import Mahalanobis
from pathlens.detection.detectors.softmax import Softmax
from pathlens.detection.differentiable import torch_score
from pathlens.errors import PathLensError

BY_SUM = Combined(members=(Likelihood(), Softmax()), rule="sum")
TREES = ("forest", "boosting", "soft-forest", "soft-boosting")
NO_GRADIENT = (*TREES, "softmax-two-sided", "energy-two-sided")
SMOOTH = {k: v for k, v in DETECTORS.items() if k not in NO_GRADIENT}
SMOOTH |= {"sum": BY_SUM, "nearest": Mahalanobis(to="nearest")}
NETWORK = torch.nn.Linear(2, 2)


class SoftPath(dict):
    """Gates by layer, and what they were decided from."""

    def __init__(self, gates, logits):
        super().__init__(gates)
        self.logits = logits


def seen(data, soft=False, dtype=torch.float32):
    scores = {name: torch.tensor(x, dtype=dtype) for name, x in data.scores.items()}
    if soft:
        scores = {name: x.requires_grad_() for name, x in scores.items()}
        gates = {name: torch.sigmoid(x) for name, x in scores.items()}
    else:
        gates = {name: torch.tensor(x, dtype=dtype) for name, x in data.bits.items()}
    return SoftPath(gates, scores), torch.tensor(data.logits), torch.tensor(data.features)


@pytest.fixture(scope="module", params=SMOOTH)
def pair(request, world):
    detector = SMOOTH[request.param]
    fitted = detector.fit(world.clean, world.attacked if detector.supervised else None)
    return request.param, fitted, torch_score(fitted, NETWORK)


def test_on_hard_gates_torch_and_numpy_agree(pair, world):
    _, fitted, score = pair
    for data in (world.fresh, world.attacked):
        expected = fitted.score(data)
        found = score(*seen(data)).numpy()
        assert found.shape == (300,)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.std())


def test_gradients_reach_the_gate_scores_or_logits(pair, world):
    name, _, score = pair
    path, logits, features = seen(world.attacked.take(range(20)), soft=True)
    logits.requires_grad_()
    features.requires_grad_()
    score(path, logits, features).sum().backward()
    sources = {"softmax": [logits], "energy": [logits]}.get(name, list(path.logits.values()))
    sources = [features] if name in ("mahalanobis", "nearest") else sources
    gradients = [x.grad for x in sources if x.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any((gradient != 0).any() for gradient in gradients)


@pytest.mark.parametrize("name", ["likelihood", "pairwise", "soft-mahalanobis", "votes"])
def test_gradients_are_finite_differences(name, world):
    score = torch_score(SMOOTH[name].fit(world.clean), NETWORK)
    path, logits, features = seen(world.attacked.take(range(8)), soft=True)
    score(path, logits, features).sum().backward()
    for layer, filter_ in (("conv1", 4), ("conv2", 7)):
        step, ends = 0.02, []
        for sign in (1, -1):
            moved = {k: x.detach().clone() for k, x in path.logits.items()}
            moved[layer][:, filter_] += sign * step
            gates = {k: torch.sigmoid(x) for k, x in moved.items()}
            ends.append(score(SoftPath(gates, moved), logits, features).detach())
        slope = (ends[0] - ends[1]) / (2 * step)
        found = path.logits[layer].grad[:, filter_]
        assert torch.allclose(found, slope, rtol=0.03, atol=3e-3)


def test_descending_the_score_lowers_it(world):
    fitted = DETECTORS["likelihood"].fit(world.clean)
    score = torch_score(fitted, NETWORK)
    path, logits, _ = seen(world.attacked, soft=True)
    before = score(path, logits)
    before.sum().backward()
    moved = {k: (x - 2.0 * x.grad.sign()).detach() for k, x in path.logits.items()}
    after = score(SoftPath({k: torch.sigmoid(x) for k, x in moved.items()}, moved), logits)
    assert (after < before).all()


def test_an_unseen_class_is_scored_as_in_numpy(world):
    seen_classes = world.clean.take(world.clean.predictions < 2)
    bare = type(seen_classes)(**{**vars(seen_classes), "classes": ()})
    for name in ("likelihood", "votes", "soft-likelihood", "neighbours"):
        fitted = DETECTORS[name].fit(bare)
        np.testing.assert_allclose(
            torch_score(fitted, NETWORK)(*seen(world.fresh)).numpy(),
            fitted.score(world.fresh),
            rtol=1e-3,
            atol=1e-3,
        )


def test_detectors_without_gradient_say_so(world):
    forest = Forest(trees=2).fit(world.clean, world.attacked)
    with pytest.raises(PathLensError, match="no gradient"):
        torch_score(forest, NETWORK)
    with pytest.raises(PathLensError, match="rule is 'sum'"):
        torch_score(Combined(rule="surprise").fit(world.clean), NETWORK)


def test_features_are_asked_for(world):
    score = torch_score(DETECTORS["mahalanobis"].fit(world.clean), NETWORK)
    path, logits, _ = seen(world.fresh)
    with pytest.raises(PathLensError, match="features"):
        score(path, logits)


def test_scores_of_a_decoupled_network_s_own_path():
    from pathlens.decoupling import decouple
    from pathlens.models.registry import build_model

    torch.manual_seed(0)
    network = decouple(build_model("small_cnn", classes=3), torch.zeros(1, 3, 16, 16)).eval()
    images = 2 * torch.randn(60, 3, 16, 16)
    with torch.no_grad():
        output, path = network.with_path(images, gates="hard")
    data = DetectionData(
        layers=network.layers,
        classes=("a", "b", "c"),
        images=pd.DataFrame({"image": range(60), "prediction": output.argmax(dim=1).numpy()}),
        bits={name: path[name].numpy() > 0.5 for name in path},
        scores={name: path.logits[name].numpy() for name in path},
        logits=output.numpy(),
    )
    fitted = DETECTORS["soft-likelihood"].fit(data)
    score = torch_score(fitted, network)
    np.testing.assert_allclose(
        score(path, output).numpy(), fitted.score(data), rtol=1e-3, atol=1e-3
    )
    moved = images.clone().requires_grad_()
    output, path = network.with_path(moved, gates="straight-through")
    score(path, output).sum().backward()
    assert (moved.grad != 0).any()
