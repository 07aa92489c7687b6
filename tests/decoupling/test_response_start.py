"""A start from responses: gates that predict how strongly filters respond, before any training."""

import copy
import functools

import numpy as np
import pytest
import torch
from torch import nn

from pathlens.decoupling import Constant, Gating, TopK, decouple, start_from_responses
from pathlens.decoupling.losses import MacBudget
from pathlens.decoupling.regression import threshold

KINDS = [
    Gating(start="responses", standardise=True),
    Gating(start="responses"),
    Constant(start="responses"),
    TopK(boost=False, start="responses"),
]


def chain():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 24, 3, padding=1, stride=2), nn.BatchNorm2d(24), nn.ReLU()),
        *(nn.Conv2d(24, 12, 3, padding=1), nn.BatchNorm2d(12)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4)),
    )


def images(count, seed):
    """Patches that differ in colour and contrast, so that filters respond unequally."""
    generator = torch.Generator().manual_seed(seed)
    colour = torch.randn(count, 3, 1, 1, generator=generator)
    contrast = 2 * torch.rand(count, 1, 1, 1, generator=generator)
    return colour + contrast * torch.randn(count, 3, 8, 8, generator=generator)


@functools.cache
def started(gating, seed=0):
    model = chain()
    model(images(200, 7))  # BN statistics that fit the images
    network = decouple(model.eval(), images(2, 0), gating=gating)
    start_from_responses(network, images(1200, 1).split(100), seed=seed)
    return network


def strengths(network, x):
    """Root mean squares of the ungated outputs after the activation, the slow way."""
    found, plain = {}, network.restore().eval()
    for layer, (first, last) in zip(network.layers.names, [(0, 6), (0, 8)], strict=True):
        with torch.no_grad():
            y = plain[first:last](x)
        found[layer] = np.array([[float((c**2).mean() ** 0.5) for c in one] for one in y])
    return found


def test_magnitudes_are_root_mean_squares_of_the_ungated_outputs():
    network = decouple(chain().eval(), images(2, 0))
    x = images(3, 2)
    with torch.no_grad():
        _, path = network.with_path(x, force={1: 1.0, 2: 0.0}, magnitudes=True)
    for name, expected in strengths(network, x).items():
        np.testing.assert_allclose(path.magnitudes[name].numpy(), expected, rtol=1e-4)
    assert not network.with_path(x)[1].magnitudes


@pytest.mark.parametrize("gating", [KINDS[0], KINDS[1], KINDS[3]])
def test_logits_predict_the_responses_of_new_images(gating):
    network = started(gating)
    x = images(300, 3)
    with torch.no_grad():
        logits = network.with_path(x, force={"*": 1.0})[1].logits
    for name, strength in strengths(network, x).items():
        explained = np.corrcoef(logits[name].numpy().ravel(), strength.ravel())[0, 1] ** 2
        assert explained > 0.7
        # Within a filter too, where knowing the filters' means is of no help.
        g, r = logits[name].numpy(), strength
        within = [np.corrcoef(g[:, k], r[:, k])[0, 1] for k in range(g.shape[1]) if r[:, k].std()]
        assert np.median(within) > 0.7


@pytest.mark.parametrize("density", [0.5, 0.9])
def test_the_share_of_gates_asked_for_is_on(density):
    network = started(Gating(start="responses", standardise=True, start_density=density)).eval()
    x = images(1200, 4)
    with torch.no_grad():  # all gates are decided on the plain inputs, as in the fit
        logits = network.with_path(x, force={"*": 1.0})[1].logits
    for g in logits.values():
        assert float((g > 0).float().mean()) == pytest.approx(density, abs=0.04)


def test_the_strong_stay_on_and_the_weak_go():
    """Against chance: the same number of gates off at random hurts the output more."""
    network = started(Gating(start="responses", standardise=True, start_density=0.6)).eval()
    x = images(200, 5)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        whole = network.with_path(x, force={"*": 1.0})[0]
        ours, path = network.with_path(x)
        shuffled = {
            n: torch.stack([row[torch.randperm(len(row), generator=generator)] for row in z])
            for n, z in path.items()
        }
        chance = network.with_path(x, force=shuffled)[0]
    assert (ours - whole).square().mean() < 0.5 * (chance - whole).square().mean()


@pytest.mark.parametrize("gating", [KINDS[0], KINDS[2]])
def test_only_gating_modules_change_and_nothing_is_left_behind(gating):
    model = chain()
    network = decouple(model, images(2, 0), gating=gating)
    network.model[1].eval()  # a BN frozen by the user
    modes = [module.training for module in network.modules()]
    start_from_responses(network, images(300, 1).split(100))
    assert [module.training for module in network.modules()] == modes
    for name, tensor in network.restore().state_dict().items():
        torch.testing.assert_close(tensor, model.state_dict()[name], rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(not module._forward_pre_hooks for module in network.gating.values())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_the_seed_decides():
    def weights(seed):
        network = started.__wrapped__(KINDS[0], seed)
        return torch.cat([p.detach().flatten() for p in network.gating.parameters()])

    first = torch.cat([p.detach().flatten() for p in started(KINDS[0]).gating.parameters()])
    torch.manual_seed(99)  # the global generator has no say
    assert torch.equal(weights(0), first)
    assert not torch.equal(weights(1), first)


def test_too_few_images_are_refused():
    network = decouple(chain(), images(2, 0), gating=KINDS[0])
    with pytest.raises(ValueError, match="two images"):
        start_from_responses(network, [images(1, 0)])


def test_constant_gates_do_not_look_at_the_image_and_keep_the_strongest():
    network = started(Constant(start="responses", start_density=0.5)).eval()
    x = images(50, 6)
    with torch.no_grad():
        path = network.with_path(x)[1]
    strength = strengths(network, images(1200, 1))
    for name, z in path.items():
        assert (z == z[0]).all()
        mean, on = strength[name].mean(axis=0), z[0].bool().numpy()
        assert on.sum() == len(on) // 2
        assert mean[on].min() >= mean[~on].max()
    assert network.cost.gating == 0


def test_constant_gates_learn_a_budget():
    network = copy.deepcopy(started(Constant(start="responses"))).train()
    budget = MacBudget(network.cost, target=0.4)
    optimiser = torch.optim.SGD(network.gating.parameters(), 0.2, momentum=0.9)
    for _ in range(150):
        loss = 100 * budget(network.with_path(images(64, 8))[1])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    path = network.with_path(images(10, 9))[1]
    share = float(network.cost.macs(path).mean()) / network.cost.dense
    assert share == pytest.approx(0.4, abs=0.08)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_threshold_leaves_the_share_above_it(share):
    values = torch.rand(100, generator=torch.Generator().manual_seed(0))
    above = int((values > threshold(values, share)).sum())
    assert above == min(99, round(100 * share))


def test_a_start_from_responses_without_biases_is_refused():
    with pytest.raises(ValueError, match="biases"):
        Gating(start="responses", bias=False)
