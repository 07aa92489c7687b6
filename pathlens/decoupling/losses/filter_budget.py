"""A global budget of filters, whatever they cost, instead of a share of gates per layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pathlens.decoupling.losses.batch_mean import BatchMean, over_batch
from pathlens.decoupling.losses.corridor import outside
from pathlens.decoupling.path import Path


@dataclass(frozen=True)
class FilterBudget:
    """(share of all gates on - target)² + Σ over layers of max(0, floor - density)².

    The share is taken over the batch and all layers together, so that layers and images share the
    filters among themselves; every filter counts alike. The floor is that of `MacBudget`.

    Attributes:
        target: Share of the filters of all gated layers that may be on.
        least: Share from which up to the target nothing is pulled; None for the target itself.
        floor: Gate density below which no layer is pushed.
    """

    target: float = 0.5
    floor: float = 0.0
    least: float | None = None

    def __call__(self, path: Path, mean: BatchMean = over_batch) -> Tensor:
        """Return the loss, a scalar without unit, of a path that carries a gradient."""
        loss = outside(mean(path.concatenate().mean(dim=1)), self.target, self.least)
        return loss + below_floor(path, self.floor, mean) if self.floor > 0 else loss


def below_floor(path: Path, floor: float, mean: BatchMean = over_batch) -> Tensor:
    """Σ over layers of max(0, floor - gate density)², a scalar."""
    density = mean(torch.stack([gates.mean(dim=1) for gates in path.values()], dim=1))
    return F.relu(floor - density).square().sum()
