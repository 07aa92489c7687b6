"""Sparsity: a target share of gates on, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pathlens.decoupling.losses.batch_mean import BatchMean, over_batch
from pathlens.decoupling.path import Path


@dataclass(frozen=True)
class Sparsity:
    """Σ over layers of | mean over the batch of ||z||_1 - R · filters |.

    Attributes:
        target: R, the share of gates that may stay on; 0 is the plain L1 norm.
    """

    target: float = 0.0

    def __call__(self, path: Path, mean: BatchMean = over_batch) -> Tensor:
        """Return the loss, a scalar in gates, of a path that carries a gradient."""
        on = mean(torch.stack([path[name].sum(dim=1) for name in path], dim=1))
        filters = on.new_tensor([path[name].shape[1] for name in path])
        return (on - self.target * filters).abs().sum()
