"""Response maps against convolutions computed by hand."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pathlens.decoupling import decouple
from pathlens.errors import PathLensError
from pathlens.probing.response_maps import response_maps


class Residual(nn.Module):
    """A stem, a gated convolution with an activation, and one that is added to the shortcut."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.first = nn.Conv2d(4, 5, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(5)
        self.second = nn.Conv2d(5, 4, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        stem = self.stem(x)
        y = self.norm2(self.second(F.relu(self.norm(self.first(stem)), inplace=True)))
        y += stem[:, :, ::2, ::2]  # in place: what was kept must not change
        return self.head(F.relu(y).mean((2, 3)))


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = Residual()
    for norm in (model.norm, model.norm2):
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    gated = decouple(model.eval(), torch.zeros(1, 3, 8, 8)).eval()
    for gating in gated.gating.values():
        nn.init.normal_(gating.fc1.weight, std=5.0)
        nn.init.normal_(gating.fc2.weight, std=5.0)
        nn.init.normal_(gating.fc2.bias)
    return gated


@torch.no_grad()
def test_maps_are_the_gated_outputs_after_norm_and_activation(network):
    x = torch.randn(6, 3, 8, 8)
    _, path = network.with_path(x)
    model = network.restore()
    stem = model.stem(x)
    first = F.relu(model.norm(model.first(stem))) * path["first"][:, :, None, None]
    second = model.norm2(model.second(first)) * path["second"][:, :, None, None]
    found = response_maps(network, x, {1: range(5), "second": [3, 2, 0, 1]})
    assert set(found) == {("first", i) for i in range(5)} | {("second", i) for i in range(4)}
    for (name, i), maps in found.items():
        expected = {"first": first, "second": second}[name][:, i].numpy()
        np.testing.assert_allclose(maps, expected, atol=1e-5)
    for gates in path.values():
        assert 0 < gates.mean() < 1  # else filters that are off, or on, were not looked at
    assert min(maps.min() for (name, _), maps in found.items() if name == "second") < 0


def test_maps_are_enlarged_to_the_picture_where_it_responds(network):
    with torch.no_grad():
        network.model.stem.weight.zero_()
        network.model.stem.weight[0, :, 1, 1] = 1.0
        network.model.first.weight.zero_()
        network.model.first.weight[3, 0, 1, 1] = 1.0
        network.model.norm.weight.fill_(1.0)
        network.gating["first"].fc2.bias.fill_(100.0)
    x = torch.zeros(1, 3, 32, 32)
    x[:, :, 4:8, 20:26] = 5.0
    found = response_maps(network, x, {"first": [3]}, size=(32, 32))["first", 3][0]
    assert found.shape == (32, 32)
    top, left = np.unravel_index(found.argmax(), found.shape)
    assert 4 <= top < 9
    assert 19 <= left < 27
    assert found[20:, :10].max() < found.max() / 2


def test_the_network_is_left_as_it_was(network):
    x = torch.randn(2, 3, 8, 8)
    hooks = [len(module._forward_hooks) for module in network.modules()]
    before = network(x)
    response_maps(network, x, {"*": [0]})
    assert hooks == [len(module._forward_hooks) for module in network.modules()]
    torch.testing.assert_close(network(x), before, rtol=0, atol=0)


def test_unknown_layers_are_named(network):
    with pytest.raises(PathLensError, match="did you mean second"):
        response_maps(network, torch.zeros(1, 3, 8, 8), {"secnd": [0]})
