"""Activations that convolutions take in."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Activation:
    """What follows a convolution at once.

    Attributes:
        name: Name in ATen: "relu", "hardtanh", "hardswish", "silu"; "" for nothing.
        bounds: Of a hardtanh.
    """

    name: str = ""
    bounds: tuple[float, ...] = ()

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it, in place where torch can."""
        if self.name == "relu":
            return x.relu_()
        if self.name == "hardtanh":
            return F.hardtanh(x, self.bounds[0], self.bounds[1], inplace=True)
        if self.name == "hardswish":
            return F.hardswish(x, inplace=True)
        return F.silu(x, inplace=True) if self.name == "silu" else x
