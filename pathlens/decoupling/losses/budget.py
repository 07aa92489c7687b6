"""A global budget of multiply-adds instead of a share of gates per layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pathlens.decoupling.cost import Cost
from pathlens.decoupling.path import Path


@dataclass(frozen=True)
class MacBudget:
    """(expected MACs / MACs of the plain network - target)² + Σ over layers of max(0, floor - density)².

    The expectation is over the batch, so that hard images may take more than easy ones. Without a
    floor the budget is met where a gate saves most: whole early or narrow layers are shut for all
    images, which prunes the network instead of routing it. Bounds by layer are used for that reason
    by Verelst & Tuytelaars, arXiv 1912.03203, among others.

    Attributes:
        cost: Cost of a path (`network.cost`).
        target: Share of the plain network's MACs, gating modules included.
        floor: Gate density below which no layer is pushed.
    """

    cost: Cost
    target: float = 0.5
    floor: float = 0.0

    def __call__(self, path: Path) -> Tensor:
        """Return the loss, a scalar without unit, of a path that carries a gradient."""
        share = self.cost.macs(path).mean() / self.cost.dense
        loss = (share - self.target).square()
        if self.floor > 0:
            density = torch.stack([gates.mean() for gates in path.values()])
            loss = loss + F.relu(self.floor - density).square().sum()
        return loss
