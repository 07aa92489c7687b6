"""Cost of a path for every family, against the library's counter on a network really cut to it."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from .families import FAMILIES, Case
from .networks import random_gates

# Group norm takes its statistics from filters that are off too: they cannot be cut.
NORM_MIXES = {"resnet18_group_norm"}


@pytest.fixture(scope="module", params=FAMILIES)
def case(request):
    with torch.no_grad():
        yield Case(request.param, images=1)


@pytest.fixture
def leaky(monkeypatch):
    """Activations that turn nothing but zero into zero: what is zero, a gate has silenced."""
    for name in ("relu", "relu6", "hardtanh", "hardswish", "gelu"):
        monkeypatch.setattr(F, name, lambda x, *_, **__: F.leaky_relu(x, 0.3))
    monkeypatch.setattr(F, "hardsigmoid", lambda x, *_, **__: torch.sigmoid(x))


def counted(model, x):
    """Multiply-adds by the library's counter, and the output."""
    with FlopCounterMode(display=False) as counter:
        output = model(x)
    return counter.get_total_flops() // 2, output


class CutConv(nn.Module):
    """A convolution that has only some inputs and filters, between tensors of full width."""

    def __init__(self, conv, inputs, filters):
        super().__init__()
        self.conv, self.inputs, self.filters, self.size = conv, inputs, filters, None

    def forward(self, x):
        conv, groups = self.conv, self.conv.groups
        wide, narrow = conv.out_channels // groups, conv.in_channels // groups
        reach = (
            conv.dilation[0] * (conv.kernel_size[0] - 1),
            conv.dilation[1] * (conv.kernel_size[1] - 1),
        )
        size = [
            (length + 2 * pad - far - 1) // stride + 1
            for length, pad, far, stride in zip(
                x.shape[2:], conv.padding, reach, conv.stride, strict=True
            )
        ]
        made = x.new_zeros(len(x), conv.out_channels, *size)
        if wide == narrow == 1:
            rows = torch.where(self.inputs & self.filters)[0]
            made[:, rows] = F.conv2d(
                x[:, rows],
                conv.weight[rows],
                None,
                conv.stride,
                conv.padding,
                conv.dilation,
                groups=len(rows),
            )
        for group in range(groups if wide * narrow > 1 else 0):
            rows = [f for f in range(group * wide, (group + 1) * wide) if self.filters[f]]
            columns = [c for c in range(narrow) if self.inputs[group * narrow + c]]
            if rows and columns:
                made[:, rows] = F.conv2d(
                    x[:, [group * narrow + c for c in columns]],
                    conv.weight[rows][:, columns],
                    None,
                    conv.stride,
                    conv.padding,
                    conv.dilation,
                )
        if conv.bias is not None:
            made = made + (conv.bias * self.filters)[:, None, None]
        return made


class CutLinear(nn.Module):
    """A linear layer that has only some inputs."""

    def __init__(self, linear, inputs):
        super().__init__()
        self.linear, self.inputs = linear, inputs

    def forward(self, x):
        return F.linear(x[..., self.inputs], self.linear.weight[:, self.inputs], self.linear.bias)


def alive_inputs(model, x):
    """Which input channels of each convolution and linear layer are not all zero."""
    alive = {}

    def watch(name, dim):
        def hook(module, args):
            others = [d for d in range(args[0].dim()) if d != dim % args[0].dim()]
            seen = (args[0] != 0).sum(dim=others) > 0
            alive[name] = alive[name] | seen if name in alive else seen

        return hook

    handles = [
        module.register_forward_pre_hook(watch(name, 1 if isinstance(module, nn.Conv2d) else -1))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    model(x)
    for handle in handles:
        handle.remove()
    return alive


def cut(model, alive, gates, norm_mixes):
    """Replace every layer of a copy by one that has only the live inputs and filters."""
    model = copy.deepcopy(model)
    for name, inputs in alive.items():
        parent, _, last = name.rpartition(".")
        layer = model.get_submodule(name)
        if isinstance(layer, nn.Linear):
            replacement = CutLinear(layer, inputs)
        else:
            everything = torch.ones(layer.out_channels, dtype=torch.bool)
            skipped = name in gates and not norm_mixes
            filters = gates[name][0] > 0 if skipped else everything
            replacement = CutConv(layer, inputs, filters)
        setattr(model.get_submodule(parent), last, replacement)
    return model


def test_dense_cost_is_that_of_the_librarys_counter(case):
    assert case.network.cost.dense == counted(case.plain, case.x)[0]


def test_cost_of_a_path_is_that_of_the_network_cut_to_it(case, leaky, request):
    family = request.node.callspec.params["case"]
    gates = random_gates(case.network, 1, seed=list(FAMILIES).index(family))
    norm_mixes = family in NORM_MIXES
    with case.masks(case.plain, gates):
        small = cut(case.plain, alive_inputs(case.plain, case.x), gates, norm_mixes)
    with case.masks(small, gates):
        macs, output = counted(small, case.x)
    expected = case.network.with_path(case.x, force=gates)[0]
    for mine, full in zip(tree_leaves(output), tree_leaves(expected), strict=True):
        torch.testing.assert_close(mine, full, rtol=1e-3, atol=1e-3 * float(full.abs().max()))
    cost = case.network.cost
    double = {name: values.double() for name, values in gates.items()}
    assert int(cost.macs(double)) == macs + cost.gating
    assert macs <= cost.dense
