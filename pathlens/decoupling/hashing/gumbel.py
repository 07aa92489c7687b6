"""Gumbel straight-through: binary gates from logistic noise, with the gradient of soft ones.

Source: the binary concrete distribution of Maddison et al., arXiv 1611.00712; its straight-through
estimator by Jang et al., arXiv 1611.01144. The difference of two Gumbel variables is logistic.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pathlens.decoupling.hashing.base import GLOBAL_DRAWS, Draws, with_gradient_of

_EDGE = 1e-6
"""Uniform draws are kept this far from 0 and 1, so that the noise stays finite (within ± 13.8)."""


@dataclass(frozen=True)
class GumbelHashing:
    """Settings of the hash in training.

    Every gate is binary in the forward pass and independent of the others:
    P(z = 1) = sigmoid(g / noise). The gradient is that of sigmoid(ĝ / temperature).

    Attributes:
        noise: Factor on the logistic noise; 1 is the binary concrete distribution, 0 has none.
        temperature: Softness of the gradient. Small: close to the step, and large beside ĝ = 0 only.
        draws: Where the random numbers come from.
    """

    noise: float = 1.0
    temperature: float = 1.0
    draws: Draws = GLOBAL_DRAWS

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError("temperature must be above 0")

    def sample(self, logits: Tensor, coin: Tensor | None = None) -> Tensor:
        """Draw the gates of a training batch: z = 1(ĝ > 0) with ĝ = g + noise · logistic.

        Args:
            logits: g, (N, filters).
            coin: Of no meaning here: all gates are binary.

        Returns:
            (N, filters), exactly 0 or 1, with the gradient of sigmoid(ĝ / temperature).
        """
        noisy = logits
        if self.noise > 0:
            noisy = logits + self.noise * torch.logit(self.draws.uniform(logits), eps=_EDGE)
        return with_gradient_of(noisy > 0, self.soft(noisy))

    def soft(self, logits: Tensor) -> Tensor:
        """sigmoid(g / temperature)."""
        return torch.sigmoid(logits / self.temperature)

    def shared(self, logits: Tensor) -> Tensor | None:
        """Nothing: there is no coin."""
        return None
