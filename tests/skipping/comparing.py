"""What the tests of skipping share: networks, paths, and how far answers are apart."""

import torch
from decoupling.families import randomise
from decoupling.networks import enliven
from torch import nn
from torch.utils._pytree import tree_leaves

from pathlens.decoupling import decouple

TOLERANCE = 1e-4
"""Largest difference allowed, over the largest number in the answer."""

NEAR_ZERO = 1e-5
"""Gates whose logit is nearer to 0 may differ: folding rounds otherwise than the gating module."""


def apart(a, b):
    """Largest difference of two outputs over the largest number of the second."""
    pairs = list(zip(tree_leaves(a), tree_leaves(b), strict=True))
    assert all(x.shape == y.shape for x, y in pairs)
    return max(float((x - y).abs().max() / y.abs().max().clamp_min(1e-30)) for x, y in pairs)


def drawn(network, images, density, seed):
    """A random path: {layer name: (N, filters)}."""
    generator = torch.Generator().manual_seed(seed)
    return {
        layer.name: (torch.rand(images, layer.filters, generator=generator) < density).float()
        for layer in network.layers
    }


def lively(model, x, **settings):
    """A decoupled network in eval mode with random weights and about half of its gates on."""
    return enliven(decouple(randomise(model).eval(), x, **settings)).eval()


class Small(nn.Module):
    """A chain, a residual block, a concatenation, a pool and a classifier."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.conv1 = nn.Conv2d(16, 24, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(24)
        self.conv2 = nn.Conv2d(24, 16, 3, padding=1)
        self.wide, self.narrow = nn.Conv2d(16, 40, 3, padding=1), nn.Conv2d(16, 8, 1)
        self.last = nn.Conv2d(48, 72, 3, stride=2)
        self.head = nn.Linear(72, 5)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        x = torch.relu(torch.cat([self.wide(x), self.narrow(x)], dim=1))
        x = torch.relu(self.last(nn.functional.max_pool2d(x, 2)))
        return self.head(x.mean(dim=(2, 3)))


def small(images=2, px=24):
    """A small decoupled network and images for it."""
    x = torch.randn(images, 3, px, px, generator=torch.Generator().manual_seed(1))
    return lively(Small(), x), x


def same_gates(path, expected):
    """Whether all gates are equal but those whose logit is nearly 0; and how many those are."""
    near = 0
    for name in expected:
        clear = expected.logits[name].abs() > NEAR_ZERO
        near += int((~clear).sum())
        if not torch.equal(path[name][clear], expected[name][clear]):
            return False, near
    return True, near
