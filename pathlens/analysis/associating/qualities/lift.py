"""Lift with a minimum support."""

from __future__ import annotations

from dataclasses import dataclass

from pathlens.analysis.source import Floats


@dataclass(frozen=True)
class Lift:
    """How many times as frequent the concept is where the combination is on; 0 to n / positives.

    n * both / (support * positives): it falls with support. With support = max(both, least support) it
    grows with `both` up to the least support and is n / positives from there on, so that its bound
    cuts off little: lift asks about combinations as pure as possible, however rare, which is why it
    needs a minimum support.
    """

    name: str = "lift"
    centred: bool = False
    floor: float = 1.0

    def least_support(self, images: int) -> int:
        """One in a hundred images, and at least five."""
        return max(5, -(-images // 100))

    def spread(self, support: Floats, images: int) -> Floats:
        """The support."""
        return support

    def scale(self, positives: Floats, images: int) -> Floats:
        """The positives."""
        return positives
