"""Constant gates, the rival that does not look at the image: static pruning in the same harness.

One learned logit a filter, the same for every image, trained by the same hash, budget and schedule. What
hashed gates win over these is what routing image by image is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pathlens.decoupling.gating import GatingModule
from pathlens.decoupling.hashing import GateMode, Hashing, gates_from_logits
from pathlens.decoupling.regression import threshold


@dataclass(frozen=True)
class Constant:
    """Settings of constant gates.

    Attributes:
        start: "open": all logits `opening`; "responses": as "open", until `start_from_responses` sets
            them by the filters' mean response, so that the weakest are off.
        opening: Logit of every filter at an "open" start.
        start_density: Share of a layer's filters that is on after a start from responses.
        sharpness: Logits are this times the distance of the relative response from its threshold.
        kind: Names this kind of gating in a recipe.
    """

    start: Literal["open", "responses"] = "open"
    opening: float = 2.0
    start_density: float = 0.9
    sharpness: float = 4.0
    kind: Literal["constant"] = "constant"

    def build(self, in_channels: int, filters: int) -> GatingModule:
        """The gating module of one layer."""
        return ConstantGating(filters, self)


class ConstantGating(GatingModule):
    """Gives every image the same logits."""

    def __init__(self, filters: int, settings: Constant) -> None:
        super().__init__()
        self.settings = settings
        self.logits = nn.Parameter(torch.full((filters,), settings.opening))

    @property
    def macs(self) -> int:
        """None: nothing is asked of the image."""
        return 0

    def pool(self, x: Tensor) -> Tensor:
        """Nothing is read of the input: (N, 0)."""
        return x.new_empty(len(x), 0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (N, filters), the same for every image."""
        return self.logits.expand(len(x), -1)

    def decide(
        self, logits: Tensor, mode: GateMode, hashing: Hashing, coin: Tensor | None
    ) -> Tensor:
        """Gates (N, filters), as the hash makes them of the logits."""
        return gates_from_logits(logits, mode, hashing, coin)

    def fit(self, pooled: Tensor, strength: Tensor, generator: torch.Generator) -> None:
        """Set the logits by the mean response of the filters; see `start_from_responses`."""
        relative = strength.mean(dim=0) / strength.mean().clamp_min(1e-12)
        level = threshold(relative, self.settings.start_density)
        self.logits.copy_(self.settings.sharpness * (relative - level))
