"""The gating module: asked before the convolution which of its filters run.

Source: the architecture controlling module of Li et al., ECCV 2020 (arXiv 1906.01166):
s = global average pool of X; g = W2 · relu(W1 · s + b1) + b2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
            image gets the same gates, about 76 % of them on.
        opening: Bias of the logits at an "open" start, in units of the hash's noise; of no effect
            without biases.
        scale: Factor on the second layer's initial weights at an "open" start.
    """

    reduction: int = 4
    bias: bool = True
    standardise: bool = False
    start: Literal["open", "released"] = "open"
    opening: float = 2.0
    scale: float = 0.1

    def __post_init__(self) -> None:
        if self.start == "released" and not self.bias:
            raise ValueError("a released start without biases is dead: all logits stay 0")
        if self.reduction < 1:
            raise ValueError("reduction must be at least 1")


class GatingModule(nn.Module):
    """Maps a layer's input X (N, in_channels, H, W) to the logits g (N, filters) of its gates."""

    def __init__(self, in_channels: int, filters: int, gating: Gating) -> None:
        super().__init__()
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
            pooled = x.mean(dim=(2, 3), dtype=self.fc1.weight.dtype)
            hidden: Tensor = F.relu(self.fc1(self.standardise(pooled)))
            logits: Tensor = self.fc2(hidden)
        return logits
