"""Rate-weighted Hamming distance of a path to the class path of the predicted class."""

from __future__ import annotations

from dataclasses import dataclass

from pathlens.analysis.source import Floats
from pathlens.detection.detectors.by_rates import ByRates


@dataclass(frozen=True)
class Hamming(ByRates):
    """sum over f of |z_f - p_cf|: the Hamming distance to be expected to a random path of the class.

    p_cf is the rate of gate f among clean images of the predicted class c. Attributes as of `ByRates`.
    """

    name: str = "hamming"

    @staticmethod
    def costs(rates: Floats) -> tuple[Floats, Floats]:
        """See `ByRates.costs`."""
        return 1 - rates, rates
