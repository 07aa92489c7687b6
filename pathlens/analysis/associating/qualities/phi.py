"""The phi coefficient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathlens.analysis.source import Floats


@dataclass(frozen=True)
class Phi:
    """Correlation of two yes/no properties, `pathlens.analysis.statistics.phi`; -1 to 1.

    With P positives, Q = n - P, joint images j and further images f, s = j + f, the numerator is
    jQ - fP and the denominator is sqrt(s (n - s) P Q). Where the numerator is positive, the logarithm
    of phi changes with f by -P / (jQ - fP) - 1 / 2s + 1 / 2(n - s). As j <= P, jQ - fP <= P (Q - f), so
    the first term is at most -1 / (Q - f) <= -1 / (n - s): phi falls as f grows. At f = 0 it is
    sqrt(jQ / ((n - j) P)), which grows with j.
    """

    name: str = "phi"
    centred: bool = True
    floor: float = 0.0

    def least_support(self, images: int) -> int:
        """One image: a rare combination has a small phi anyway."""
        return 1

    def spread(self, support: Floats, images: int) -> Floats:
        """Square root of support times the rest."""
        return np.sqrt(support * (images - support))

    def scale(self, positives: Floats, images: int) -> Floats:
        """Square root of positives times the rest."""
        return np.sqrt(positives * (images - positives))
