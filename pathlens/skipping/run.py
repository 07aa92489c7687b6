"""What one run of a plan holds; every run has its own, so that threads do not meet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from pathlens.skipping.channels import Kept


@dataclass
class Run:
    """The values of one run.

    Attributes:
        images: Size of the batch.
        values: Tensors by slot; None before they are made and after their last use.
        kept: Which channels are there, by number.
        gates: Gates (N, filters) by layer, tensors or arrays.
        logits: What they were decided from, alike.
        amplitudes: What filters that are on are multiplied by, (N, filters), by layer, if anything.
        factors: What is left to multiply the outputs of a layer by, (N, places, 1, 1), by layer;
            None where all that is there is on in every image.
        dense: Whether all filters are kept and the gates multiply.
        exact: Whether only filters that are on are kept, without holes.
        forced: Gates that are given, (N, filters) with NaN where they are decided, by layer.
    """

    images: int
    values: list[Any]
    kept: list[Kept | None]
    gates: list[Any]
    logits: list[Any]
    amplitudes: dict[int, Tensor] = field(default_factory=dict)
    factors: dict[int, Tensor | None] = field(default_factory=dict)
    forced: dict[int, Tensor] = field(default_factory=dict)
    exact: bool = False
    dense: bool = False

    def kept_at(self, number: int) -> Kept:
        """The channels that are there, by number."""
        kept = self.kept[number]
        assert kept is not None
        return kept
