"""Improved semantic hashing: soft or binary gates, by a coin for each image.

Source: Kaiser & Bengio, "Discrete autoencoders for sequence models", arXiv 1801.09797; used for gates
by Li et al., "Interpretable Neural Network Decoupling", ECCV 2020 (arXiv 1906.01166).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pathlens.decoupling.hashing.base import GLOBAL_DRAWS, Draws, with_gradient_of


@dataclass(frozen=True)
class SemanticHashing:
    """Settings of the hash in training.

    Attributes:
        noise: Standard deviation of the Gaussian noise on the logits; 1 in the paper.
        binary_share: Probability that a sample gets the binary vector instead of the soft one.
        shared_coin: Whether one coin per sample decides for all layers, instead of one per layer.
        draws: Where the random numbers come from.
    """

    noise: float = 1.0
    binary_share: float = 0.5
    shared_coin: bool = False
    draws: Draws = GLOBAL_DRAWS

    def sample(self, logits: Tensor, coin: Tensor | None = None) -> Tensor:
        """Gates of a training batch, as `semantic_hash`."""
        return semantic_hash(logits, self, coin)

    def soft(self, logits: Tensor) -> Tensor:
        """`saturating_sigmoid` of the logits."""
        return saturating_sigmoid(logits)

    def shared(self, logits: Tensor) -> Tensor | None:
        """The coin (N, 1) of all layers, if they share one."""
        return draw_coin(logits, self) if self.shared_coin else None


def saturating_sigmoid(logits: Tensor) -> Tensor:
    """clip(1.2 · sigmoid(g) - 0.1, 0, 1): differentiable, flat beyond |g| = ln 11."""
    return (1.2 * torch.sigmoid(logits) - 0.1).clamp(0.0, 1.0)


def semantic_hash(logits: Tensor, hashing: SemanticHashing, coin: Tensor | None = None) -> Tensor:
    """Draw the gate vectors of a training batch.

    ĝ = g + noise; v1 = saturating_sigmoid(ĝ); v2 = 1(ĝ > 0); each sample gets all of v1 or all of
    v2. The gradient is always that of v1.

    Args:
        logits: g, (N, filters).
        hashing: Strength of the noise and share of binary samples.
        coin: Optional (N, 1) bool, True where a sample is binary; drawn if not given.

    Returns:
        (N, filters), in [0, 1]; exactly 0 or 1 in binary samples.
    """
    noisy = logits
    if hashing.noise > 0:
        noisy = logits + hashing.noise * hashing.draws.normal(logits)
    soft = saturating_sigmoid(noisy)
    if coin is None:
        coin = draw_coin(logits, hashing)
    return torch.where(coin, with_gradient_of(noisy > 0, soft), soft)


def draw_coin(logits: Tensor, hashing: SemanticHashing) -> Tensor:
    """One coin per sample: (N, 1) bool, True with probability `binary_share`."""
    return hashing.draws.uniform(logits[:, :1]) < hashing.binary_share
