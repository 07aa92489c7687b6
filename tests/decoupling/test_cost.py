"""Cost of a path: against the library's counter, a network really cut, and zeros that were counted."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from pathlens.decoupling import decouple
from pathlens.models import build_model

from .networks import Chain, random_gates, randomise_norms

FAMILIES = {
    "resnet20": 32,
    "squeezenet1_1": 64,
    "resnet18": 64,
    "cifar_googlenet": 32,
    "vgg11": 64,
    "mobilenet_v3_small": 64,
}


def counted(model, x):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("name", FAMILIES)
def test_dense_cost_is_that_of_the_librarys_counter(name):
    model, x = build_model(name, 10).eval(), torch.zeros(1, 3, FAMILIES[name], FAMILIES[name])
    assert decouple(model, x).cost.dense == counted(model, x)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cost_of_a_path_is_that_of_a_network_really_cut_to_it(seed):
    x = torch.zeros(1, 3, 12, 12)
    network = decouple(Chain(False).eval(), x)
    gates = random_gates(network, 1, seed)
    kept = [int(gates["convs.1"].sum()), int(gates["convs.2"].sum())]
    cut = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.Conv2d(6, kept[0], 3, padding=1),
        nn.Conv2d(kept[0], kept[1], 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(kept[1], 4),
    )
    expected = counted(cut, x) + network.cost.gating
    assert float(network.cost.macs(gates)) == expected


@pytest.mark.parametrize("name", ["resnet20", "squeezenet1_1", "resnet18", "cifar_googlenet"])
def test_cost_of_a_path_counts_the_channels_that_really_are_zero(name, monkeypatch):
    """The slow oracle: run the path on noise and look at which inputs of each conv are all zero."""
    # A ReLU can silence a channel that no gate has; a leaky one silences only zeros.
    monkeypatch.setattr(F, "relu", lambda x, inplace=False: F.leaky_relu(x, 0.3))
    torch.manual_seed(0)
    x = torch.randn(3, 3, FAMILIES[name], FAMILIES[name])
    network = decouple(randomise_norms(build_model(name, 10)).eval(), x)
    gates = random_gates(network, 3, 7)
    expected = torch.full((3,), float(network.cost.gating))

    def watch(layer_name):
        def hook(module, args, output):
            alive = (args[0].flatten(2) != 0).any(dim=2).sum(dim=1).float()
            outputs = gates[layer_name].sum(dim=1) if layer_name in gates else module.out_channels
            positions = output.shape[2] * output.shape[3] * module.kernel_size[0] ** 2
            expected.add_(alive * outputs * positions)

        return hook

    def watch_linear(module, args):
        expected.add_((args[0] != 0).sum(dim=1) * module.out_features)

    for layer_name, module in network.model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(watch(layer_name))
        elif isinstance(module, nn.Linear):
            module.register_forward_pre_hook(watch_linear)
    with torch.no_grad():
        network.with_path(x, force=gates)
    torch.testing.assert_close(network.cost.macs(gates), expected, rtol=1e-5, atol=0)


def test_everything_on_costs_the_plain_network_and_the_gating_modules():
    network = decouple(build_model("resnet20", 10), torch.zeros(1, 3, 32, 32))
    on = {layer.name: torch.ones(1, layer.filters) for layer in network.layers}
    assert float(network.cost.macs(on)) == network.cost.dense + network.cost.gating


def test_soft_gates_give_an_expected_cost_with_a_gradient():
    torch.manual_seed(0)
    network = decouple(Chain(True), torch.zeros(1, 3, 12, 12))
    rates = {
        layer.name: torch.rand(1, layer.filters, requires_grad=True) for layer in network.layers
    }
    soft = network.cost.macs(rates)
    drawn = {name: (torch.rand(20000, r.shape[1]) < r).float() for name, r in rates.items()}
    assert float(network.cost.macs(drawn).mean()) == pytest.approx(float(soft.detach()), rel=0.02)
    soft.sum().backward()
    assert (rates["convs.1"].grad > 0).all()


def test_by_module_adds_up_to_the_whole():
    network = decouple(build_model("squeezenet1_1", 10), torch.zeros(1, 3, 64, 64))
    gates = random_gates(network, 4)
    parts = torch.stack(list(network.cost.by_module(gates).values())).sum(dim=0)
    torch.testing.assert_close(parts + network.cost.gating, network.cost.macs(gates))


def test_a_mean_over_channels_keeps_no_channel_dead():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)
            self.head = nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.second(self.first(x)).mean(dim=1).mean(dim=2))

    network = decouple(Mixed(), torch.zeros(1, 3, 8, 8))  # as high as it has channels
    off = network.cost.by_module({"second": torch.zeros(1, 8)})
    assert float(off["head"]) == 8 * 2


def test_half_precision_does_not_overflow():
    network = decouple(build_model("resnet20", 10), torch.zeros(1, 3, 32, 32))
    on = {layer.name: torch.ones(1, layer.filters) for layer in network.layers}
    half = network.cost.macs({name: gates.half() for name, gates in on.items()})
    assert float(half) == float(network.cost.macs(on))


def test_transposed_convolutions_cost_what_the_counter_says():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.ConvTranspose2d(4, 5, 2, stride=2)
    )
    x = torch.zeros(1, 3, 12, 12)
    assert decouple(model, x).cost.dense == counted(model, x)
