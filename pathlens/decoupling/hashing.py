"""Improved semantic hashing: a binary gate vector that gradient descent can train.

Source: Kaiser & Bengio, "Discrete autoencoders for sequence models", arXiv 1801.09797; used for gates
by Li et al., "Interpretable Neural Network Decoupling", ECCV 2020 (arXiv 1906.01166).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

GateMode = Literal["hash", "hard", "soft", "straight-through"]
"""How logits become gates; see `gates_from_logits`."""

GATE_MODES: tuple[GateMode, ...] = ("hash", "hard", "soft", "straight-through")


@dataclass(frozen=True)
class SemanticHashing:
    """Settings of the hash in training.

    Attributes:
        noise: Standard deviation of the Gaussian noise on the logits; 1 in the paper.
        binary_share: Probability that a sample gets the binary vector instead of the soft one.
        shared_coin: Whether one coin per sample decides for all layers, instead of one per layer.
    """

    noise: float = 1.0
    binary_share: float = 0.5
    shared_coin: bool = False


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
        noisy = logits + hashing.noise * torch.randn_like(logits)
    soft = saturating_sigmoid(noisy)
    if coin is None:
        coin = draw_coin(logits, hashing)
    return torch.where(coin, _with_gradient_of(noisy > 0, soft), soft)


def draw_coin(logits: Tensor, hashing: SemanticHashing) -> Tensor:
    """One coin per sample: (N, 1) bool, True with probability `binary_share`."""
    return torch.rand(logits.shape[0], 1, device=logits.device) < hashing.binary_share


def gates_from_logits(
    logits: Tensor, mode: GateMode, hashing: SemanticHashing, coin: Tensor | None = None
) -> Tensor:
    """Turn logits g into gates.

    Args:
        logits: g, (N, filters).
        mode: "hash" as `semantic_hash`; "hard" 1(g > 0), without gradient; "soft"
            saturating_sigmoid(g), without noise; "straight-through" hard values with the gradient of
            the soft ones.
        hashing: Settings for "hash".
        coin: As in `semantic_hash`.
    """
    if mode == "hash":
        return semantic_hash(logits, hashing, coin)
    if mode == "soft":
        return saturating_sigmoid(logits)
    hard = (logits > 0).to(logits.dtype)
    if mode == "hard":
        return hard
    if mode == "straight-through":
        return _with_gradient_of(logits > 0, saturating_sigmoid(logits))
    raise ValueError(f"gates must be one of {GATE_MODES}, not {mode!r}")


def _with_gradient_of(binary: Tensor, soft: Tensor) -> Tensor:
    # soft - soft.detach() is exactly 0, so the values stay exactly 0 and 1; (binary - soft) + soft
    # would round.
    return binary.to(soft.dtype) + (soft - soft.detach())
