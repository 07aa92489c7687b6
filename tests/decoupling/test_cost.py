"""Cost of a path: against the library's counter, a network really cut, and zeros that were counted."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from pathlens.decoupling import decouple
from pathlens.models import build_model

from .networks import Chain, random_gates


def counted(model, x):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    return counter.get_total_flops() // 2


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


def test_channels_are_counted_exactly_under_autocast():
    network = decouple(build_model("squeezenet1_1", 10), torch.zeros(1, 3, 64, 64))
    gates = random_gates(network, 4)  # 8 bits cannot tell 257 channels from 256
    expected = network.cost.macs(gates)
    with torch.autocast("cpu", torch.bfloat16):
        assert network.cost.macs(gates).equal(expected)


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


def shuffled(y):
    n, _, h, w = y.shape
    return y.view(n, 2, 4, h, w).transpose(1, 2).contiguous().view(n, 8, h, w)


# What a network may do with eight gated channels before the next convolution reads them.
MOVES = {
    "shuffle": shuffled,
    "shuffle module": nn.ChannelShuffle(4),
    "chunk and swap": lambda y: torch.cat(y.chunk(2, dim=1)[::-1], dim=1),
    "uneven split": lambda y: torch.cat(y.split([5, 1, 2], dim=1)[::-1], dim=-3),
    "slices": lambda y: y[:, 1::2] + y[:, :4],
    "slices of pictures": lambda y: y[:, :, ::2, 1:] * 0.5,
    "select": lambda y: torch.stack([y[:, -1], y[:, 2], y[:, 2] / 3], dim=1),
    "unbind": lambda y: torch.stack(y.unbind(1)[2:5], dim=-3),
    "crop and pad": lambda y: F.pad(y, (1, 1, 0, 0, -1, 3)),
    "channels last and back": lambda y: F.gelu(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
    "pictures as rows": lambda y: y.flatten(2).transpose(1, 2).transpose(2, 1).reshape(y.shape),
    "product": lambda y: y * y[:, [0]] + y * y.mean(dim=(2, 3), keepdim=True),
    "broadcast sum": lambda y: y + y.mean(dim=(2, 3))[:, :, None, None],
    "maximum": lambda y: F.max_pool2d(y, 2),
    "clamp around zero": lambda y: y.clamp(-1, 1),
    "shares of a picture": lambda y: torch.cat(
        [y[:, :, :2], torch.cat(y[:, :, 2:].chunk(2, dim=1)[::-1], dim=1)], dim=2
    ),
    "depth to space": lambda y: y.view(-1, 2, 4, 4, 4).permute(0, 1, 3, 2, 4).reshape(-1, 2, 16, 4),
    "depthwise without bias": nn.Conv2d(8, 8, 3, groups=8, bias=False),
    "expand": lambda y: y[:, :, None].expand(-1, -1, 2, -1, -1).flatten(1, 2),
}
# Moves that bring life where it was not, and those that are not followed: never understated.
ALIVE = {
    "clamp to above zero": lambda y: y.clamp(min=0.1),
    "shift": lambda y: y + 1,
    "sigmoid": torch.sigmoid,
    "mean over channels": lambda y: y.mean(dim=1, keepdim=True).expand(-1, 8, -1, -1),
    "depthwise with bias": nn.Conv2d(8, 8, 3, groups=8),
    "grouped": nn.Conv2d(8, 8, 3, groups=2, bias=False),
    "pad with ones": lambda y: F.pad(y, (1, 1), value=1.0),
    "add through a view": lambda y: (y[:, :3].add_(1), y)[1],
    "flip": lambda y: torch.stack([y, y.flip(1)]).sum(dim=0),
    "space to depth": lambda y: F.pixel_unshuffle(y, 2),
    "fill": lambda y: y.index_fill(1, torch.tensor([2]), 1.0),
}


class Moved(nn.Module):
    """A gated convolution, a move, and a convolution that reads the result."""

    def __init__(self, move):
        super().__init__()
        self.stem, self.gated = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 1)
        self.move = move
        made = self.around(torch.randn(1, 3, 4, 4))
        self.next = nn.Conv2d(made.shape[1], 4, 1)

    def around(self, x):
        return self.move(self.gated(self.stem(x)))

    def forward(self, x):
        self.seen = self.around(x)
        return self.next(self.seen).relu().flatten(1)


@pytest.mark.parametrize("kind", [*MOVES, *ALIVE])
@pytest.mark.parametrize("seed", [0, 1])
def test_channels_are_followed_through_what_moves_them(kind, seed):
    torch.manual_seed(seed)
    model = Moved((MOVES | ALIVE)[kind]).eval()
    x = torch.randn(2, 3, 4, 4)
    network = decouple(model, x, "gated")
    gates = random_gates(network, 2, seed)
    with torch.no_grad():
        network.with_path(x, force=gates)
    alive = (network.model.seen != 0).flatten(2).any(dim=2).sum(dim=1)
    positions = network.model.seen.shape[2:].numel()
    expected = alive * 4.0 * positions
    counted_macs = network.cost.by_module(gates)["next"]
    if kind in MOVES:
        assert torch.equal(counted_macs, expected)
    else:
        assert torch.equal(
            counted_macs, torch.full_like(expected, model.next.in_channels * 4.0 * positions)
        )


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_dead_input_spares_the_filters_of_its_group(groups):
    torch.manual_seed(0)
    model = Moved(nn.Conv2d(8, 12, 3, padding=1, groups=groups))
    network = decouple(model, torch.zeros(1, 3, 4, 4), "gated")
    gates = random_gates(network, 5)
    macs = network.cost.by_module(gates)["move"]
    assert torch.equal(macs, gates["gated"].sum(dim=1) * (12 // groups) * 9 * 16)
