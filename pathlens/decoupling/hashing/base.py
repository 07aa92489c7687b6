"""What every variant of the hash has: gates to train with, and their soft values."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Draws(Protocol):
    """Where random numbers come from."""

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers of the shape of `like`, (N, k)."""
        ...

    def uniform(self, like: Tensor) -> Tensor:
        """Numbers between 0 and 1 of the shape of `like`, (N, k)."""
        ...


class GlobalDraws:
    """From torch's global generator."""

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers of the shape of `like`, (N, k)."""
        return torch.randn_like(like)

    def uniform(self, like: Tensor) -> Tensor:
        """Numbers from 0 to below 1 of the shape of `like`, (N, k)."""
        return torch.rand_like(like)


GLOBAL_DRAWS = GlobalDraws()


class Hashing(Protocol):
    """Turns logits g (N, filters) into gates to train with.

    At inference a gate is 1(g > 0) in every variant.
    """

    def sample(self, logits: Tensor, coin: Tensor | None = None) -> Tensor:
        """Draw the gates (N, filters) of a training batch; `coin` as `shared` returned it, or None."""
        ...

    def soft(self, logits: Tensor) -> Tensor:
        """Differentiable gates in [0, 1], (N, filters), without noise."""
        ...

    def shared(self, logits: Tensor) -> Tensor | None:
        """What all layers of a pass share, drawn at the first one; None if they share nothing."""
        ...


def with_gradient_of(binary: Tensor, soft: Tensor) -> Tensor:
    """The values of `binary` (bool) with the gradient of `soft`, both of one shape."""
    # soft - soft.detach() is exactly 0, so the values stay exactly 0 and 1; (binary - soft) + soft
    # would round.
    return binary.to(soft.dtype) + (soft - soft.detach())
