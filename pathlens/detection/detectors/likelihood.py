"""Log-likelihood of a path under the gate rates of the predicted class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathlens.analysis.source import Floats
from pathlens.detection.detectors.by_rates import ByRates


@dataclass(frozen=True)
class Likelihood(ByRates):
    """- sum over f of log P(z_f | c), the gates independent given the predicted class c (nats).

    Rates are Laplace-smoothed and shrunk towards the overall ones, so that a gate that was always on
    (or off) costs much when it flips, but never infinitely much. Attributes as of `ByRates`.
    """

    name: str = "likelihood"

    @staticmethod
    def costs(rates: Floats) -> tuple[Floats, Floats]:
        """See `ByRates.costs`."""
        return -np.log(rates), -np.log1p(-rates)
