"""Evaluation and BN statistics against loops."""

import numpy as np
import pytest
import torch
from torch import nn

from pathlens.datasets import ImageSplit
from pathlens.datasets.loader import ImageLoader, View, normalise
from pathlens.decoupling import decouple
from pathlens.models import build_model
from pathlens.training.evaluation import estimate_batch_norm, evaluate, scores_of

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 255, (24, 16, 16, 3), dtype=np.uint8)
LABELS = RNG.integers(0, 4, 24)
VIEW = View(16, 16, 0)  # without a border and of the same size, a crop is the image


@pytest.fixture
def loader():
    ids = tuple(map(str, range(24)))
    return ImageLoader(ImageSplit("test", ids, LABELS, tuple("abcd"), lambda i: PICTURES[i]), VIEW)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return decouple(build_model("small_cnn", 4, 0.5), torch.zeros(1, 3, 16, 16))


def test_evaluation_is_the_mean_over_images_one_by_one(loader, network):
    with torch.no_grad():
        for parameter in network.gating.parameters():
            parameter.normal_()
    found = evaluate(network, loader, batch_size=7)
    right, loss, density, macs = [], [], [], []
    for pixels, label in zip(PICTURES, LABELS, strict=True):
        x = normalise(torch.from_numpy(pixels).permute(2, 0, 1)[None])
        output, path = network.with_path(x)
        right.append(int(output.argmax()) == label)
        loss.append(-output.log_softmax(1)[0, label].item())
        density.append(path.concatenate().mean().item())
        macs.append(network.cost.macs(path).item() / network.cost.dense)
    expected = [np.mean(values) for values in (right, loss, density, macs)]
    assert [found.accuracy, found.loss, found.density, found.macs_share] == pytest.approx(
        expected, rel=1e-4
    )
    assert found.images == 24


def test_bn_statistics_are_averages_over_batches_with_hard_gates(loader):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(1024, 2))
    estimate_batch_norm(model, loader, list(range(24)), batch_size=8)
    means, variances = [], []
    for start in (0, 8, 16):
        x = normalise(torch.from_numpy(PICTURES[start : start + 8]).permute(0, 3, 1, 2))
        both = []
        for image in x:  # mirroring moves pixels and changes neither mean nor variance
            both.append(model[0](image[None]))
        y = torch.cat(both)
        means.append(y.mean(dim=(0, 2, 3)))
        variances.append(y.var(dim=(0, 2, 3)))
    torch.testing.assert_close(
        model[1].running_mean, torch.stack(means).mean(0), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        model[1].running_var, torch.stack(variances).mean(0), atol=1e-5, rtol=1e-4
    )
    assert model[1].momentum == 0.1
    assert not model.training


def test_bn_statistics_change_nothing_else(loader, network):
    before = {n: t.clone() for n, t in network.named_parameters()}
    estimate_batch_norm(network, loader, list(range(24)))
    assert all(torch.equal(t, before[n]) for n, t in network.named_parameters())
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize(
    "wrap", [lambda t: t, lambda t: (t, 1), lambda t: {"out": t}, lambda t: [(t,)]]
)
def test_scores_are_the_first_tensor_of_whatever_comes_out(wrap):
    scores = torch.ones(2, 3)
    assert scores_of(wrap(scores)) is scores
