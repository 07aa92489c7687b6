"""Which convolutions of real architectures are gated, where, and what `where=` picks."""

import copy

import pytest
import torch
from torch import nn
from torchvision.models.convnext import LayerNorm2d
from torchvision.ops import FrozenBatchNorm2d

from pathlens.decoupling import decouple
from pathlens.decoupling.layout import lay_out
from pathlens.decoupling.observe import observe
from pathlens.errors import PathLensError

from .families import randomise
from .networks import Chain, Residual, random_gates, randomise_norms


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
    with pytest.raises(PathLensError, match=r"Unknown convolution 'norms\.\*'"):
        decouple(Chain(True), torch.zeros(1, 3, 8, 8), ["convs.1", "norms.*"])


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            ["convs.0"],
            r"where= picks nothing that can be gated \(convs\.0: the first convolution\)",
        ),
        (lambda name, conv: False, "where= picks no convolution"),
        ([], "where= picks no convolution"),
        ([1], r"where=\[1\] must be names or globs"),
        (1, "where=1 must be names or globs"),
    ],
)
def test_where_that_leaves_nothing_says_why(where, message):
    with pytest.raises(PathLensError, match=message):
        decouple(Chain(True), torch.zeros(1, 3, 8, 8), where)


class Parallel(nn.Module):
    """A stem and two paths into one sum."""

    def __init__(self, left, right):
        super().__init__()
        self.stem, self.left, self.right = nn.Conv2d(3, 4, 3, padding=1), left, right
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = self.stem(x)
        return self.head((self.left(x) + self.right(x)).relu().mean(dim=(2, 3)))


def conv(kernel):
    return nn.Conv2d(4, 4, kernel, padding=kernel // 2)


def chain(*parts):
    return nn.Sequential(*(conv(part) if isinstance(part, int) else part for part in parts))


@pytest.mark.parametrize(
    ("left", "right", "projection"),
    [
        (chain(3, 3), chain(1), "right.0"),  # the other path is deeper
        (chain(1), chain(1, nn.ReLU(), 1), "left.0"),
        (chain(1), chain(3), "left.0"),  # as deep, and the other kernel is wider
        (chain(3), chain(1, nn.BatchNorm2d(4)), "right.0"),
        (chain(3, 3), chain(nn.AvgPool2d(3, 1, 1), 1, nn.BatchNorm2d(4)), "right.1"),
        (chain(3, 3), chain(1, nn.GroupNorm(2, 4)), "right.0"),
        (chain(3, 3), chain(1, FrozenBatchNorm2d(4)), "right.0"),
        (chain(1), chain(1), None),
        (chain(3), chain(3), None),
        (chain(1, nn.ReLU()), chain(3, 3), None),  # an activation makes it a branch
        (chain(1), nn.Identity(), None),
    ],
)
def test_of_two_parallel_paths_the_shorter_or_narrower_is_the_projection(left, right, projection):
    model, x = Parallel(left, right), torch.zeros(1, 3, 8, 8)
    network = decouple(model, x)
    listed = {entry.name for entry in network.not_gated if "projection" in entry.reason}
    assert listed == ({projection} if projection else set())
    everything = {n for n, m in model.named_modules() if isinstance(m, nn.Conv2d)} - {"stem"}
    assert set(network.layers.names) == everything - listed
    assert set(decouple(model, x, projections=True).layers.names) == everything


def test_gated_projections_can_silence_the_stream():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 12, 12)
    model = randomise_norms(Residual()).eval()
    network = decouple(model, x, projections=True)
    assert set(network.layers.names) == {"conv1", "conv2", "project"}
    gates = random_gates(network, 2, 4)
    with torch.no_grad():
        stem = model.norm(model.stem(x)).relu()
        branch = model.bn1(model.conv1(stem)) * gates["conv1"][:, :, None, None]
        branch = model.bn2(model.conv2(branch.relu())) * gates["conv2"][:, :, None, None]
        shortcut = model.bn3(model.project(stem)) * gates["project"][:, :, None, None]
        expected = model.head((branch + shortcut).relu().mean(dim=(2, 3)))
        assert torch.equal(network.with_path(x, force=gates)[0], expected)
    either = (gates["conv2"] + gates["project"]).clamp(max=1).sum(dim=1)
    assert torch.equal(network.cost.by_module(gates)["head"], either * 4)


class ChannelsLast(nn.Module):
    """A layer norm over the last dimension, as ConvNeXt writes it."""

    def __init__(self, back):
        super().__init__()
        self.norm, self.back = nn.LayerNorm(6), back

    def forward(self, x):
        x = self.norm(x.permute(0, 2, 3, 1))
        return x.permute(0, 3, 1, 2) if self.back else x


class NormAndActivation(nn.BatchNorm2d):
    """A norm that applies its activation itself, as timm's do."""

    def forward(self, x):
        return nn.functional.silu(super().forward(x))


class Doubled(nn.Conv2d):
    """A convolution whose module goes on with its result."""

    def forward(self, x):
        return super().forward(x) * 2


class Turn(nn.Module):
    """The middle of a channel shuffle."""

    def forward(self, x):
        return x.transpose(1, 2)


NORMS = {
    "batch": (nn.BatchNorm2d(6), "2", False),
    "group": (nn.GroupNorm(3, 6), "2", True),
    "group of one channel each": (nn.GroupNorm(6, 6), "2", False),
    "instance": (nn.InstanceNorm2d(6, affine=True), "2", False),
    "instance with statistics": (nn.InstanceNorm2d(6, track_running_stats=True), "2", False),
    "frozen": (FrozenBatchNorm2d(6), "2", False),
    "layer, channels first": (LayerNorm2d(6), "2", True),
    "layer, within a module": (ChannelsLast(True), "2.norm", True),
    "layer, channels last": (ChannelsLast(False), "2.norm", True),
    "with its activation": (NormAndActivation(6), "2", False),
    "behind a shuffle": (
        nn.Sequential(nn.Unflatten(1, (2, 3)), Turn(), nn.Flatten(1, 2), nn.BatchNorm2d(6)),
        "1",
        False,
    ),
    "none": (nn.ReLU(), "1", False),
    "pool": (nn.Sequential(nn.AvgPool2d(2), nn.BatchNorm2d(6)), "1", False),
}


@pytest.mark.parametrize("kind", NORMS)
def test_the_gate_acts_on_the_norm_that_alone_reads_the_convolution(kind):
    norm, site, mixes = NORMS[kind]
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 8)
    model = randomise(
        nn.Sequential(
            nn.Conv2d(3, 4, 3), Doubled(4, 6, 1), copy.deepcopy(norm), nn.ReLU(), nn.Flatten()
        )
    ).eval()
    conv = lay_out(model, observe(model, x)).gated[0]
    assert (conv.site, conv.norm_mixes) == (site, mixes)
    gates = (torch.rand(2, 6) < 0.5).float()
    network = decouple(model, x)
    output, path = network.with_path(x, force={1: gates})
    ungated = model[1](model[0](x))
    if site != "1":
        ungated = model[2](ungated)
    last = kind == "layer, channels last"
    gated = ungated * (gates[:, None, None, :] if last else gates[:, :, None, None])
    for later in model[2 if site == "1" else 3 :]:
        gated = later(gated)
    assert torch.equal(output, gated)
    if kind not in {"pool", "behind a shuffle"}:
        pooled = ungated.relu().mean(dim=(1, 2) if last else (2, 3))
        torch.testing.assert_close(path.responses["1"], pooled)
    # Statistics over several filters need those that are off.
    filters = 6 if mixes else gates.sum(dim=1)
    macs = network.cost.by_module({"1": gates})["1"]
    assert torch.equal(macs, torch.as_tensor(filters * 4 * 36.0).expand(2))


def test_a_functional_norm_is_gated_where_its_module_returns_it():
    class Unit(nn.Module):
        def __init__(self, goes_on):
            super().__init__()
            self.conv, self.goes_on = nn.Conv2d(4, 4, 1), goes_on

        def forward(self, x):
            y = nn.functional.group_norm(self.conv(x), 2).relu()
            return y + x if self.goes_on else y

    def layout(goes_on):
        model = nn.Sequential(nn.Conv2d(3, 4, 1), Unit(goes_on), nn.Conv2d(4, 4, 1), nn.Flatten())
        return lay_out(model, observe(model, torch.zeros(1, 3, 4, 4)))

    assert [conv.site for conv in layout(False).gated] == ["1", "2"]
    assert ("1.conv", "its norm is shared or not a module of its own") in [
        (entry.name, entry.reason) for entry in layout(True).not_gated
    ]


def test_results_written_into_slices_are_not_taken_for_auxiliary_heads():
    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1)
            self.last, self.head = nn.Conv2d(4, 5, 1), nn.Linear(5, 2)

        def forward(self, x):
            x = self.stem(x)
            y = torch.empty_like(x)
            y[:, :2] = self.a(x)
            y[:, 2:] = self.b(x)
            return self.head(self.last(y).mean(dim=(2, 3)))

    network = decouple(Written(), torch.zeros(1, 3, 4, 4))
    assert network.layers.names == ["a", "b", "last"]
    off = {name: torch.zeros(1, network.layers.find(name).filters) for name in network.layers.names}
    # The writes are not followed: what they wrote counts as alive, never as dead.
    off["last"][:] = 1
    assert float(network.cost.by_module(off)["last"]) == 4 * 5 * 16


def test_a_convolution_over_patches_is_not_gated():
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.patch, self.last = (nn.Conv2d(3, 3, 1) for _ in range(3))

        def forward(self, x):
            y = self.patch(self.stem(x).reshape(4 * len(x), 3, 4, 4))
            return self.last(y.reshape(x.shape)).flatten(1)

    model, x = Patches(), torch.zeros(2, 3, 8, 8)
    network = decouple(model, x)
    assert network.layers.names == ["last"]
    assert "its batch is not that of the images" in network.not_gated[1].reason
    assert network.cost.dense == 3 * 9 * 64
