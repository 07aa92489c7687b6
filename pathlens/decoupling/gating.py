"""The gating module: asked before the convolution which of its filters run.

Source: the architecture controlling module of Li et al., ECCV 2020 (arXiv 1906.01166):
s = global average pool of X; g = W2 · relu(W1 · s + b1) + b2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathlens.decoupling.hashing import GateMode, Hashing, gates_from_logits
from pathlens.decoupling.pooling import spatial_mean
from pathlens.decoupling.regression import regress, threshold


@dataclass(frozen=True)
class Gating:
    """Shape and start of the gating modules.

    Attributes:
        reduction: The hidden layer has in_channels / reduction units; 4 in the paper.
        bias: Whether both layers have biases (released code) or not (the paper's text).
        standardise: Whether the pooled input is standardised by a batch norm without scale and
            shift. The class signal in pooled features is small beside their mean; without it the
            gates learn nothing about the image for a long time.
        start: "open": small random weights and a bias that lets every filter run; "released": first
            weight 0, second one Kaiming-normal and all biases 1, as the released code starts: every
            image gets the same gates, about 76 % of them on; "responses": as "open", until
            `start_from_responses` fits them to predict how strongly each filter responds.
        opening: Bias of the logits at an "open" start, in units of the hash's noise; of no effect
            without biases.
        scale: Factor on the second layer's initial weights at an "open" start.
        start_density: Share of a layer's gates that is on after a start from responses.
        sharpness: Logits are then this times the distance of the predicted relative response from its
            threshold. The hash's noise has unit variance and blurs what lies nearer.
        kind: Names this kind of gating in a recipe; its rivals are `TopK` and `Constant`.
    """

    reduction: int = 4
    bias: bool = True
    standardise: bool = False
    start: Literal["responses", "open", "released"] = "open"
    opening: float = 2.0
    scale: float = 0.1
    start_density: float = 0.9
    sharpness: float = 4.0
    kind: Literal["hashed"] = "hashed"

    def __post_init__(self) -> None:
        if self.start == "released" and not self.bias:
            raise ValueError("a released start without biases is dead: all logits stay 0")
        if self.start == "responses" and not self.bias:
            raise ValueError("a start from responses needs biases, which hold its thresholds")
        if self.reduction < 1:
            raise ValueError("reduction must be at least 1")

    def build(self, in_channels: int, filters: int) -> GatingModule:
        """The gating module of one layer."""
        return HashedGating(in_channels, filters, self)


class GatingKind(Protocol):
    """Settings of one kind of gating modules."""

    def build(self, in_channels: int, filters: int) -> GatingModule:
        """The gating module of one layer."""


class GatingModule(nn.Module):
    """Asked with a layer's input X (N, in_channels, H, W); the base of all kinds of gating modules."""

    @property
    def macs(self) -> int:
        """Multiply-adds of the module for one image."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return what the gates are decided from, (N, filters), for the layer's input x."""
        raise NotImplementedError

    def pool(self, x: Tensor) -> Tensor:
        """Return what is read of the layer's input, (N, inputs)."""
        raise NotImplementedError

    def decide(
        self, logits: Tensor, mode: GateMode, hashing: Hashing, coin: Tensor | None
    ) -> Tensor:
        """Gates (N, filters) from the logits; see `hashing.gates_from_logits`."""
        raise NotImplementedError

    def fit(self, pooled: Tensor, strength: Tensor, generator: torch.Generator) -> None:
        """Predict responses from pooled inputs; see `start_from_responses`.

        Args:
            pooled: (N, inputs), what `pool` returned.
            strength: (N, filters), root mean squares of the ungated outputs.
            generator: Draws batches.
        """
        raise NotImplementedError

    def amplitudes(self, logits: Tensor) -> Tensor | None:
        """What filters that are on are multiplied by, (N, filters); None where nothing is."""
        return None


class HashedGating(GatingModule):
    """The paper's module: two layers make the logits g, and the hash makes gates of them."""

    def __init__(self, in_channels: int, filters: int, gating: Gating) -> None:
        super().__init__()
        self.settings = gating
        hidden = max(1, in_channels // gating.reduction)
        # track_running_stats keeps inference independent of the batch.
        self.standardise: nn.Module = (
            nn.BatchNorm1d(in_channels, affine=False) if gating.standardise else nn.Identity()
        )
        self.fc1 = nn.Linear(in_channels, hidden, bias=gating.bias)
        self.fc2 = nn.Linear(hidden, filters, bias=gating.bias)
        self._start(gating)

    def _start(self, gating: Gating) -> None:
        with torch.no_grad():
            if gating.start == "released":
                self.fc1.weight.zero_()
                nn.init.kaiming_normal_(self.fc2.weight)
                for layer in (self.fc1, self.fc2):
                    if layer.bias is not None:
                        layer.bias.fill_(1.0)
                return
            self.fc2.weight.mul_(gating.scale)
            if self.fc2.bias is not None:
                self.fc2.bias.fill_(gating.opening)

    @property
    def macs(self) -> int:
        """Multiply-adds of the two layers for one image (pooling multiplies nothing)."""
        return self.fc1.weight.numel() + self.fc2.weight.numel()

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits g, (N, filters), for the layer's input x, (N, in_channels, H, W)."""
        # In full precision under autocast too: a gate is decided by the sign of g, and what this costs
        # is nothing beside the convolution.
        with torch.autocast(x.device.type, enabled=False):
            return self._logits(self.standardise(self.pool(x)))

    def pool(self, x: Tensor) -> Tensor:
        """The global average, (N, in_channels)."""
        return spatial_mean(x, self.fc1.weight.dtype)

    def _logits(self, standardised: Tensor) -> Tensor:
        logits: Tensor = self.fc2(F.relu(self.fc1(standardised)))
        return logits

    @torch.no_grad()
    def fit(self, pooled: Tensor, strength: Tensor, generator: torch.Generator) -> None:
        """Make the logits a prediction of the relative response, 0 at the layer's threshold."""
        if isinstance(self.standardise, nn.BatchNorm1d):
            assert self.standardise.running_mean is not None
            assert self.standardise.running_var is not None
            self.standardise.running_mean.copy_(pooled.mean(dim=0))
            self.standardise.running_var.copy_(pooled.var(dim=0))
            self.standardise.eval()
        inputs = self.standardise(pooled)
        target = (strength / strength.mean().clamp_min(1e-12)).to(inputs.dtype)
        self._restart(target.mean(dim=0), generator)
        regress(self._logits, list(self.parameters()), inputs, target, generator)
        level = threshold(self._logits(inputs), self.settings.start_density)
        self.fc2.weight.mul_(self.settings.sharpness)
        if self.fc2.bias is not None:
            self.fc2.bias.sub_(level).mul_(self.settings.sharpness)

    def _restart(self, mean: Tensor, generator: torch.Generator) -> None:
        """Weights from which a regression starts well: as predicting the mean of every filter."""
        for layer, deviation in ((self.fc1, math.sqrt(2 / self.fc1.in_features)), (self.fc2, 0.05)):
            drawn = torch.randn(layer.weight.shape, generator=generator) * deviation
            layer.weight.copy_(drawn)
            if layer.bias is not None:
                layer.bias.zero_()
        if self.fc2.bias is not None:
            self.fc2.bias.copy_(mean)

    def decide(
        self, logits: Tensor, mode: GateMode, hashing: Hashing, coin: Tensor | None
    ) -> Tensor:
        """Gates (N, filters), as the hash makes them of the logits."""
        return gates_from_logits(logits, mode, hashing, coin)
