"""Top-k gating, a rival to the hash in the same harness: the most salient filters of each image run.

Source: Gao et al., "Dynamic Channel Pruning: Feature Boosting and Suppression" (FBS), arXiv
1810.05331: s = mean |X| by channel; saliency = relu(W s + b); the k filters with the largest saliency
run, and their normalised outputs are multiplied by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathlens.decoupling.cost import Cost
from pathlens.decoupling.gating import GatingModule
from pathlens.decoupling.hashing import GateMode, Hashing, with_gradient_of
from pathlens.decoupling.pooling import spatial_mean
from pathlens.decoupling.regression import regress
from pathlens.errors import PathLensError


@dataclass(frozen=True)
class TopK:
    """Settings of top-k gating.

    Of every layer the same share of filters runs, for every image: `set_density` says how many, all
    at first. With `boost`, as published, a network with all gates on is not the plain one, and a filter
    that is on with saliency 0 puts out 0.

    Attributes:
        boost: Whether outputs are multiplied by the saliency. The gates then carry no gradient: the
            saliency learns through the outputs, and losses on gates teach the network only. Without it
            they carry that of sigmoid(g - the k-th largest g).
        scale: Factor on the initial weights. 1: Kaiming-normal with biases 1, as published; smaller
            starts closer to the plain network, which has saliency 1 everywhere.
        start: "published", or "responses": fitted by `start_from_responses`.
        kind: Names this kind of gating in a recipe.
    """

    boost: bool = True
    scale: float = 1.0
    start: Literal["published", "responses"] = "published"
    kind: Literal["top-k"] = "top-k"

    def build(self, in_channels: int, filters: int) -> GatingModule:
        """The gating module of one layer."""
        return TopKGating(in_channels, filters, self)


class TopKGating(GatingModule):
    """Maps a layer's input to g = W s + b, of which relu is the saliency of its filters.

    Attributes:
        k: Number of filters that run, part of the module's state.
    """

    k: Tensor

    def __init__(self, in_channels: int, filters: int, settings: TopK) -> None:
        super().__init__()
        self.boost = settings.boost
        self.fc = nn.Linear(in_channels, filters)
        with torch.no_grad():
            nn.init.kaiming_normal_(self.fc.weight)
            self.fc.weight.mul_(settings.scale)
            self.fc.bias.fill_(1.0)
        self.register_buffer("k", torch.tensor(filters))

    @property
    def macs(self) -> int:
        """Multiply-adds of the layer for one image."""
        return self.fc.weight.numel()

    def forward(self, x: Tensor) -> Tensor:
        """Return g, (N, filters), for the layer's input x, (N, in_channels, H, W)."""
        with torch.autocast(x.device.type, enabled=False):
            logits: Tensor = self.fc(self.pool(x))
        return logits

    def pool(self, x: Tensor) -> Tensor:
        """The mean absolute value, (N, in_channels)."""
        return spatial_mean(x.abs(), self.fc.weight.dtype)

    @torch.no_grad()
    def fit(self, pooled: Tensor, strength: Tensor, generator: torch.Generator) -> None:
        """Make g a prediction of the relative response."""
        target = (strength / strength.mean().clamp_min(1e-12)).to(pooled.dtype)
        self.fc.weight.zero_()
        self.fc.bias.copy_(target.mean(dim=0))
        regress(self.fc, list(self.fc.parameters()), pooled, target, generator)

    def decide(
        self, logits: Tensor, mode: GateMode, hashing: Hashing, coin: Tensor | None
    ) -> Tensor:
        """Gates (N, filters): 1 for the k largest g of each image, in every mode but "soft".

        Of equal ones the first filters are taken. "soft" is sigmoid(g - the k-th largest g).
        """
        order = logits.argsort(dim=1, descending=True, stable=True)
        chosen = order.argsort(dim=1) < self.k
        least = logits.masked_fill(~chosen, torch.inf).amin(dim=1, keepdim=True).detach()
        soft = torch.sigmoid(logits - least)
        if mode == "soft":
            return soft
        if mode == "hard" or self.boost:
            return chosen.to(logits.dtype)
        return with_gradient_of(chosen, soft)

    def amplitudes(self, logits: Tensor) -> Tensor | None:
        """The saliency relu(g), (N, filters), with `boost`."""
        return F.relu(logits) if self.boost else None


def kept(filters: int, density: float) -> int:
    """Number of filters that run at this density: the nearest whole number, at least 1."""
    return max(1, round(density * filters))


def set_density(network: nn.Module, density: float) -> None:
    """Set the share of filters that run, in all top-k gating modules of a network.

    Args:
        network: Changed in place; other gating modules stay as they are.
        density: From 0 to 1; at least one filter of every layer stays on.
    """
    for module in network.modules():
        if isinstance(module, TopKGating):
            module.k.fill_(kept(module.fc.out_features, density))


def density_for_macs(cost: Cost, share: float) -> float:
    """The largest density, the same in all layers, at which the expected MACs stay within a budget.

    The expectation takes the filters that run in different layers as independent of each other.

    Args:
        cost: Cost of a path (`network.cost`).
        share: The budget: a share of the plain network's MACs, gating modules included.

    Raises:
        PathLensError: If one filter a layer costs more than the budget.
    """
    least = _share_at(cost, 0.0)
    if least > share:
        raise PathLensError(
            f"A budget of {share:.1%} of the MACs cannot be met: with one filter of each gated layer "
            f"on, {least:.1%} are left; give at least that."
        )
    if _share_at(cost, 1.0) <= share:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _share_at(cost, middle) <= share else (low, middle)
    return low


def _share_at(cost: Cost, density: float) -> float:
    """Expected MACs at a density, over those of the plain network."""
    path = {
        name: torch.full((1, filters), kept(filters, density) / filters, dtype=torch.float64)
        for name, filters in zip(cost.layers, cost.filters, strict=True)
    }
    return float(cost.macs(path)) / cost.dense
