"""Top-k gates against sorting in loops; a network of them against one written out."""

import math

import pytest
import torch
from torch.nn import functional as F

from pathlens.decoupling import TopK, decouple, density_for_macs, set_density
from pathlens.decoupling.top_k import TopKGating, kept
from pathlens.errors import PathLensError
from pathlens.models import build_model

from .networks import Chain

SEEDS = [0, 1, 2]
X = torch.randn(6, 3, 10, 10, generator=torch.Generator().manual_seed(5))


def chain(seed, density, *, boost=True):
    """A network in eval mode with saliencies that differ between images and filters."""
    torch.manual_seed(seed)
    network = decouple(Chain(True), X, gating=TopK(boost=boost, scale=4.0)).eval()
    with torch.no_grad():
        for layer in network.layers:  # so that some saliencies are 0
            network.gating_module(layer.name).fc.bias.normal_()
    set_density(network, density)
    return network


def most_salient(logits, k):
    """The k largest of each row as 0 and 1, by hand."""
    rows = []
    for row in logits.tolist():
        order = sorted(range(len(row)), key=lambda j: (-row[j], j))
        rows.append([1.0 if j in order[:k] else 0.0 for j in range(len(row))])
    return torch.tensor(rows)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("density", [0.0, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("boost", [True, False])
def test_the_k_most_salient_filters_of_each_image_are_on(seed, density, boost):
    network = chain(seed, density, boost=boost)
    for mode in ("hard", "hash", "straight-through"):
        _, path = network.with_path(X, gates=mode)
        for layer in network.layers:
            k = max(1, round(density * layer.filters))
            assert torch.equal(path[layer.name], most_salient(path.logits[layer.name], k))


def test_equal_saliencies_go_to_the_first_filters():
    module = TopKGating(2, 5, TopK())
    module.k.fill_(2)
    gates = module.decide(torch.zeros(3, 5), "hard", None, None)
    assert torch.equal(gates, torch.tensor([[1.0, 1, 0, 0, 0]] * 3))


@pytest.mark.parametrize("seed", SEEDS)
def test_logits_are_one_layer_of_the_mean_magnitude(seed):
    torch.manual_seed(seed)
    module = TopKGating(3, 4, TopK())
    x = torch.randn(2, 3, 5, 5)
    for image, logits in zip(x, module(x), strict=True):
        s = [channel.abs().mean().item() for channel in image]
        for j in range(4):
            weights = module.fc.weight[j].tolist()
            expected = sum(w * v for w, v in zip(weights, s, strict=True)) + 1.0
            assert logits[j].item() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert module.macs == 12


@pytest.mark.parametrize("boost", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_outputs_that_are_kept_are_multiplied_by_their_saliency(seed, boost):
    network = chain(seed, 0.8, boost=boost)
    output, path = network.with_path(X)
    assert any((path.logits[name][path[name] > 0] < 0).any() for name in path)
    gates = {}
    for name in path:
        assert set(path[name].unique().tolist()) <= {0.0, 1.0}
        saliency = F.relu(path.logits[name]) if boost else torch.ones_like(path[name])
        gates[name] = path[name] * saliency
    torch.testing.assert_close(output, network.restore()(X, gates), atol=1e-5, rtol=1e-4)
    assert set(path.amplitudes) == (set(path) if boost else set())


def test_a_forced_gate_keeps_the_saliency_of_its_filter():
    network = chain(0, 0.5)
    given = (torch.arange(8) % 2).float()
    output, path = network.with_path(X, force={1: given})
    assert torch.equal(path["convs.1"], given.expand(6, 8))
    gates = {name: path[name] * F.relu(path.logits[name]) for name in path}
    torch.testing.assert_close(output, network.restore()(X, gates), atol=1e-5, rtol=1e-4)


def test_with_boost_the_saliency_learns_through_the_outputs_only():
    network = chain(0, 0.5).train()
    output, path = network.with_path(X)
    assert not any(path[name].requires_grad for name in path)
    output.square().sum().backward()
    fc = network.gating_module(2).fc
    on = path["convs.2"].any(dim=0) & (path.logits["convs.2"] > 0).any(dim=0)
    assert fc.bias.grad[on].abs().min() > 0
    assert not fc.bias.grad[~path["convs.2"].any(dim=0)].any()


@pytest.mark.parametrize("seed", SEEDS)
def test_without_boost_gates_have_the_gradient_of_the_soft_ones(seed):
    torch.manual_seed(seed)
    module = TopKGating(3, 6, TopK(boost=False))
    module.k.fill_(2)
    logits = torch.randn(4, 6, requires_grad=True)
    gates = module.decide(logits, "hash", None, None)
    gates.sum().backward()
    for row, slopes in zip(logits.tolist(), logits.grad.tolist(), strict=True):
        least = sorted(row)[-2]
        for g, slope in zip(row, slopes, strict=True):
            p = 1 / (1 + math.exp(least - g))
            assert slope == pytest.approx(p * (1 - p), rel=1e-4)
    soft = module.decide(logits, "soft", None, None)
    assert torch.equal((soft >= 0.5).float(), gates.detach())


def test_the_number_of_filters_that_run_is_part_of_the_state():
    first, second = chain(0, 0.3), chain(1, 1.0)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(X), second(X))
    assert first.gating_module(1).k == 2


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("model", ["small_cnn", "cifar_vgg16_bn", "resnet20"])
def test_a_uniform_density_meets_the_budget(model, share):
    torch.manual_seed(0)
    x = torch.randn(8, 3, 32, 32)
    network = decouple(build_model(model, 10, 0.5), x, gating=TopK(scale=4.0)).eval()
    try:
        density = density_for_macs(network.cost, share)
    except PathLensError:
        assert (model, share) == ("small_cnn", 0.2)
        return
    set_density(network, density)
    _, path = network.with_path(x)
    found = network.cost.macs(path).mean().item() / network.cost.dense
    # Whole filters, and for residual sums filters that are not independent.
    assert share - 0.08 < found < share + 0.03
    more = {
        name: torch.full((1, n), kept(n, min(1.0, density + 0.02)) / n)
        for name, n in zip(network.cost.layers, network.cost.filters, strict=True)
    }
    assert network.cost.macs(more).item() / network.cost.dense > share


def test_a_budget_that_one_filter_a_layer_exceeds_is_refused():
    network = chain(0, 1.0)
    with pytest.raises(
        PathLensError, match=r"A budget of 1.0% of the MACs cannot be met.*are left"
    ):
        density_for_macs(network.cost, 0.01)


def test_a_budget_above_all_keeps_everything():
    assert density_for_macs(chain(0, 1.0).cost, 2.0) == 1.0
