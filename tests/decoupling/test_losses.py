"""Each loss against its formula, written out in loops."""

import math

import pytest
import torch

from pathlens.decoupling import TopK, decouple
from pathlens.decoupling.losses import (
    Alignment,
    FilterBudget,
    MacBudget,
    MutualInformation,
    Saliency,
    Sparsity,
)

from .networks import Chain

X = torch.randn(6, 3, 10, 10, generator=torch.Generator().manual_seed(5))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.fixture
def network():
    torch.manual_seed(0)
    return decouple(Chain(True), X).train()


@pytest.fixture
def path(network):
    return network.with_path(X, gates="soft")[1]


def softmax(values):
    total = sum(math.exp(v) for v in values)
    return [math.exp(v) / total for v in values]


def test_mutual_information_is_the_cross_entropy_of_the_auxiliary_classifiers(network, path):
    loss = MutualInformation(network.layers, 3)
    expected = 0.0
    for name, classifier in zip(network.layers.names, loss.classifiers, strict=True):
        assert classifier.bias is None
        weights = classifier.weight.tolist()
        for gates, label in zip(path[name].tolist(), LABELS.tolist(), strict=True):
            scores = [sum(w * z for w, z in zip(row, gates, strict=True)) for row in weights]
            expected -= math.log(softmax(scores)[label]) / len(X)
    assert loss(path, LABELS).item() == pytest.approx(expected, rel=1e-5)
    mean = MutualInformation(network.layers, 3, "mean")
    mean.load_state_dict(loss.state_dict())
    assert mean(path, LABELS).item() == pytest.approx(expected / 2, rel=1e-5)


def test_images_without_the_attribute_are_left_out_of_the_information(network, path):
    loss = MutualInformation(network.layers, 3)
    some = torch.tensor([0, -100, 2, -100, 1, -100])
    expected = 0.0
    for name, classifier in zip(network.layers.names, loss.classifiers, strict=True):
        scores = path[name][::2] @ classifier.weight.T
        for row, label in zip(scores.tolist(), (0, 2, 1), strict=True):
            expected -= math.log(softmax(row)[label]) / 3
    assert loss(path, some).item() == pytest.approx(expected, rel=1e-5)
    nothing = loss(path, torch.full((6,), -100))
    nothing.backward()
    assert nothing.item() == 0
    assert not loss.classifiers[0].weight.grad.any()


@pytest.mark.parametrize("direction", ["response-gates", "gates-response"])
@pytest.mark.parametrize("reduction", ["batch", "element"])
def test_alignment_is_the_divergence_of_softmaxed_gates_and_responses(path, direction, reduction):
    expected = 0.0
    for name in path:
        for gates, response in zip(path[name].tolist(), path.responses[name].tolist(), strict=True):
            p, q = softmax(response), softmax(gates)
            if direction == "gates-response":
                p, q = q, p
            divergence = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / len(X)
            expected += divergence / len(gates) if reduction == "element" else divergence
    loss = Alignment(direction=direction, reduction=reduction)(path)
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_detached_alignment_teaches_the_gates_only(network):
    for detach in (False, True):
        network.zero_grad()
        _, path = network.with_path(X, gates="soft")
        Alignment(detach=detach).of_layer(path["convs.2"], path.responses["convs.2"]).backward()
        grad = network.model.norms[2].weight.grad
        assert (grad is None or not grad.any()) == detach
        assert network.gating_module("convs.2").fc2.bias.grad.abs().sum() > 0


@pytest.mark.parametrize("target", [0.0, 0.6, 1.0])
def test_sparsity_is_the_distance_from_the_target_share(path, target):
    expected = 0.0
    for gates in path.values():
        mean = sum(sum(row) for row in gates.tolist()) / len(X)
        expected += abs(mean - target * gates.shape[1])
    assert Sparsity(target)(path).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("target", "floor"), [(0.3, 0.0), (0.9, 0.0), (0.3, 0.5), (0.3, 1.0)])
def test_filter_budget_counts_all_filters_alike(network, target, floor):
    _, path = network.with_path(X, force={1: 0.1, 2: 0.8})
    share = (8 * 0.1 + 5 * 0.8) / 13
    expected = (share - target) ** 2 + sum(max(0.0, floor - d) ** 2 for d in (0.1, 0.8))
    assert FilterBudget(target, floor)(path).item() == pytest.approx(expected, rel=1e-5)


def test_filter_budget_pushes_every_layer(network, path):
    FilterBudget(0.1)(path).backward()
    for layer in (1, 2):
        assert network.gating_module(layer).fc2.bias.grad.min() > 0


def test_saliency_is_the_norm_of_all_positive_logits():
    torch.manual_seed(0)
    network = decouple(Chain(True), X, gating=TopK(boost=False)).eval()
    torch.nn.init.normal_(network.gating_module(1).fc.bias)
    _, path = network.with_path(X)
    assert path.logits["convs.1"].min() < 0
    expected = sum(max(0.0, g) for name in path for g in path.logits[name].flatten().tolist())
    assert Saliency()(path).item() == pytest.approx(expected / len(X), rel=1e-5)


def test_mac_budget_is_the_squared_distance_from_the_target(network, path):
    share = network.cost.macs(path).mean().item() / network.cost.dense
    loss = MacBudget(network.cost, 0.3)(path)
    assert loss.item() == pytest.approx((share - 0.3) ** 2, rel=1e-5)
    loss.backward()
    assert network.gating_module(1).fc2.bias.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("target", "least", "distance"),
    [(0.4, 0.2, 0.2), (0.6, 0.6, 0.0), (0.9, 0.5, 0.0), (0.9, 0.7, -0.1), (0.4, 0.4, 0.2)],
)
def test_between_the_target_and_the_least_nothing_is_pulled(network, target, least, distance):
    _, path = network.with_path(X, force={"*": 0.6})
    budget = FilterBudget(target, least=least)
    assert budget(path).item() == pytest.approx(distance**2, abs=1e-6)
    share = network.cost.macs(path).mean().item() / network.cost.dense
    moved = MacBudget(network.cost, share + target - 0.6, least=share + least - 0.6)
    assert moved(path).item() == pytest.approx(distance**2, abs=1e-6)


@pytest.mark.parametrize("floor", [0.2, 0.7, 1.0])
def test_the_floor_pushes_layers_that_are_nearly_shut(network, floor):
    _, path = network.with_path(X, force={1: 0.1, 2: 0.8})
    share = network.cost.macs(path).mean().item() / network.cost.dense
    expected = (share - 0.3) ** 2 + sum(max(0.0, floor - d) ** 2 for d in (0.1, 0.8))
    assert MacBudget(network.cost, 0.3, floor)(path).item() == pytest.approx(expected, rel=1e-5)


def test_the_losses_train_in_a_loop_of_ones_own():
    """The documented example: labels, attribute, alignment, sparsity and SGD, nothing else."""
    torch.manual_seed(1)
    network = decouple(Chain(True), X).train()
    information, alignment = MutualInformation(network.layers, 3), Alignment(detach=True)
    parameters = [*network.parameters(), *information.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=0.2, momentum=0.9)
    first = last = None
    for _ in range(60):
        output, path = network.with_path(X)
        loss = torch.nn.functional.cross_entropy(output, LABELS)
        loss = loss + 0.1 * information(path, LABELS) + alignment(path) + 0.01 * Sparsity(0.5)(path)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        first, last = first if first is not None else float(loss.detach()), float(loss.detach())
    assert last < 0.6 * first
