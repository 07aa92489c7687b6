"""Which convolutions of real architectures are gated, where, and what `where=` picks."""

import pytest
import torch
from torch import nn

from pathlens.decoupling import decouple
from pathlens.decoupling.layout import lay_out
from pathlens.decoupling.observe import observe
from pathlens.errors import PathLensError
from pathlens.models import build_model

from .networks import Chain

FAMILIES = {
    "resnet20": 32,
    "cifar_vgg16_bn": 32,
    "resnet18": 64,
    "vgg11": 64,
    "squeezenet1_1": 64,
    "densenet121": 64,
    "mobilenet_v3_small": 64,
    "efficientnet_b0": 64,
    "googlenet": 64,
}


def expected_gated(name, model):
    """Names by each architecture's own naming: what the observation must find without names."""
    convs = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and m.groups == 1]
    skipped = ("downsample", "aux", "block.se", ".fc1", ".fc2")
    kept = [n for n in convs[1:] if not any(part in n for part in skipped)]
    return set(kept) - {"classifier.1"}


@pytest.mark.parametrize("name", FAMILIES)
def test_gated_are_the_ordinary_convolutions_but_the_special_ones(name):
    model = build_model(name, 10)
    network = decouple(model, torch.zeros(1, 3, FAMILIES[name], FAMILIES[name]))
    assert set(network.layers.names) == expected_gated(name, model)
    listed = {entry.name for entry in network.not_gated} | set(network.layers.names)
    assert listed == {n for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}


@pytest.mark.parametrize("name", ["resnet20", "squeezenet1_1", "mobilenet_v3_small", "densenet121"])
def test_all_on_and_restore_are_bit_equal(name):
    torch.manual_seed(0)
    model, x = build_model(name, 10).eval(), torch.randn(2, 3, 64, 64)
    network = decouple(model, x)
    with torch.no_grad():
        assert torch.equal(network.with_path(x, force={"*": 1})[0], model(x))
        assert torch.equal(network.restore()(x), model(x))


def test_layers_are_numbered_in_running_order():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Conv2d(4, 4, 1)
            self.middle = nn.Conv2d(4, 4, 1)
            self.first = nn.Conv2d(3, 4, 1)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.last(self.middle(self.first(x))).mean(dim=(2, 3)))

    layers = decouple(Backwards(), torch.zeros(1, 3, 4, 4)).layers
    assert [(layer.index, layer.name) for layer in layers] == [(1, "middle"), (2, "last")]


def test_layer_sizes_are_those_of_the_example_input():
    layer = decouple(Chain(True), torch.zeros(1, 3, 12, 10)).layers.find("convs.1")
    assert (layer.filters, layer.in_channels, layer.output_size) == (8, 6, (12, 10))
    assert layer.macs == 8 * 6 * 9 * 12 * 10


def test_gates_act_on_the_bn_where_one_follows_and_on_the_conv_elsewhere():
    model = build_model("densenet121", 10)
    layout = lay_out(model, observe(model, torch.zeros(1, 3, 64, 64)))
    sites = {conv.layer.name: conv.site for conv in layout.gated}
    first = "features.denseblock1.denselayer1"
    assert sites[f"{first}.conv1"] == f"{first}.norm2"  # BN reads it alone
    assert sites[f"{first}.conv2"] == f"{first}.conv2"  # goes into a concatenation


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("convs.1", ["convs.1"]),
        (["convs.*"], ["convs.1", "convs.2"]),
        (lambda name, conv: conv.out_channels == 5, ["convs.2"]),
    ],
)
def test_where_picks_layers(where, expected):
    network = decouple(Chain(True), torch.zeros(1, 3, 8, 8), where)
    assert network.layers.names == expected
    if expected == ["convs.1"]:
        assert ("convs.2", "left out by where=") in [(e.name, e.reason) for e in network.not_gated]


def test_where_that_matches_nothing_lists_the_nearest():
    with pytest.raises(PathLensError, match=r"Unknown convolution 'conv\.1'.*convs\.1"):
        decouple(Chain(True), torch.zeros(1, 3, 8, 8), "conv.1")
