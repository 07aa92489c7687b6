"""Sparsity: a target share of gates on, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pathlens.decoupling.path import Path


@dataclass(frozen=True)
class Sparsity:
    """Σ over layers of | mean over the batch of ||z||_1 - R · filters |.

    Attributes:
        target: R, the share of gates that may stay on; 0 is the plain L1 norm.
    """

    target: float = 0.0

    def __call__(self, path: Path) -> Tensor:
        """Return the loss, a scalar in gates, of a path that carries a gradient."""
        return torch.stack(
            [(path[n].sum(dim=1).mean() - self.target * path[n].shape[1]).abs() for n in path]
        ).sum()
