"""A global budget of multiply-adds instead of a share of gates per layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pathlens.decoupling.cost import Cost
from pathlens.decoupling.path import Path


@dataclass(frozen=True)
class MacBudget:
    """(expected MACs / MACs of the plain network - target)².

    The expectation is over the batch, so that hard images may take more than easy ones.

    Attributes:
        cost: Cost of a path (`network.cost`).
        target: Share of the plain network's MACs, gating modules included.
    """

    cost: Cost
    target: float = 0.5

    def __call__(self, path: Path) -> Tensor:
        """Return the loss, a scalar without unit, of a path that carries a gradient."""
        share = self.cost.macs(path).mean() / self.cost.dense
        return (share - self.target).square()
