"""A global budget of multiply-adds instead of a share of gates per layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pathlens.decoupling.cost import Cost
from pathlens.decoupling.losses.batch_mean import BatchMean, over_batch
from pathlens.decoupling.losses.corridor import outside
from pathlens.decoupling.losses.filter_budget import below_floor
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
        least: Share from which up to the target nothing is pulled; None for the target itself.
        floor: Gate density below which no layer is pushed.
    """

    cost: Cost
    target: float = 0.5
    floor: float = 0.0
    least: float | None = None

    def __call__(self, path: Path, mean: BatchMean = over_batch) -> Tensor:
        """Return the loss, a scalar without unit, of a path that carries a gradient."""
        share = mean(self.cost.macs(path)) / self.cost.dense
        loss = outside(share, self.target, self.least)
        if self.floor > 0:
            loss = loss + below_floor(path, self.floor, mean)
        return loss
