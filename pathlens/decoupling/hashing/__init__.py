"""The hash: a binary gate vector that gradient descent can train. One variant a file.

A variant is a frozen dataclass with the three methods of `Hashing`; recipes choose among them in
`pathlens.training.schedule`.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from pathlens.decoupling.hashing.base import GLOBAL_DRAWS, Draws, Hashing, with_gradient_of
from pathlens.decoupling.hashing.gumbel import GumbelHashing
from pathlens.decoupling.hashing.semantic import (
    SemanticHashing,
    draw_coin,
    saturating_sigmoid,
    semantic_hash,
)

__all__ = [
    "GATE_MODES",
    "GLOBAL_DRAWS",
    "Draws",
    "GateMode",
    "GumbelHashing",
    "Hashing",
    "SemanticHashing",
    "draw_coin",
    "gates_from_logits",
    "saturating_sigmoid",
    "semantic_hash",
    "with_gradient_of",
]

GateMode = Literal["hash", "hard", "soft", "straight-through"]
"""How logits become gates; see `gates_from_logits`."""

GATE_MODES: tuple[GateMode, ...] = ("hash", "hard", "soft", "straight-through")


def gates_from_logits(
    logits: Tensor, mode: GateMode, hashing: Hashing, coin: Tensor | None = None
) -> Tensor:
    """Turn logits g into gates.

    Args:
        logits: g, (N, filters).
        mode: "hash" as the variant draws them, with noise; "hard" 1(g > 0), without gradient; "soft"
            the variant's soft values, without noise; "straight-through" hard values with the gradient
            of the soft ones.
        hashing: The variant and its settings.
        coin: What the layers share (`Hashing.shared`), or None.
    """
    if mode == "hash":
        return hashing.sample(logits, coin)
    if mode == "soft":
        return hashing.soft(logits)
    if mode == "hard":
        return (logits > 0).to(logits.dtype)
    if mode == "straight-through":
        return with_gradient_of(logits > 0, hashing.soft(logits))
    raise ValueError(f"gates must be one of {GATE_MODES}, not {mode!r}")
