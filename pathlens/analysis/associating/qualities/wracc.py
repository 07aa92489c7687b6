"""Weighted relative accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathlens.analysis.source import Floats


@dataclass(frozen=True)
class WeightedRelativeAccuracy:
    """Share of joint images less what independence expects (Lavrač, Flach & Zupan 1999).

    (both - support * positives / n) / n: it falls with support, and with support = both it is
    both * (1 - positives / n) / n, which grows with `both`.
    """

    name: str = "wracc"
    centred: bool = True
    floor: float = 0.0

    def least_support(self, images: int) -> int:
        """One image: what is rare has a small value anyway."""
        return 1

    def spread(self, support: Floats, images: int) -> Floats:
        """The number of images, whatever the support."""
        return np.full_like(support, images)

    def scale(self, positives: Floats, images: int) -> Floats:
        """The number of images, whatever the concept."""
        return np.full_like(positives, images)
