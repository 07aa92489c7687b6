"""Log-likelihood of a path under the gate rates of the predicted class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import class_count
from pathlens.detection.detectors.by_parts import FittedByParts, fit_by_parts, restored
from pathlens.detection.detectors.class_tables import class_rates
from pathlens.detection.detectors.linear_by_class import LinearByClass, from_costs, linear_from
from pathlens.layers import LayerSpec, LayerTable


@dataclass(frozen=True)
class Likelihood:
    """- sum over f of log P(z_f | c), the gates independent given the predicted class c (nats).

    Rates are Laplace-smoothed and shrunk towards the overall ones, so that a gate that was always on
    (or off) costs much when it flips, but never infinitely much.

    Attributes:
        layers: Layers by number, name or glob; all for None.
        prior: Images of the overall rates that are added to each class.
    """

    layers: tuple[LayerSpec, ...] | None = None
    prior: float = 2.0
    name: str = "likelihood"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedByParts:
        """Gate rates by predicted class; `attacked` is not looked at.

        Raises:
            PathLensError: If there are fewer than 2 images, or no predictions.
        """
        return fit_by_parts(self.fit_model, clean)

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedByParts:
        """The inverse of `to_arrays`."""
        return restored(linear_from(layers, arrays), arrays)

    def fit_model(self, clean: DetectionData) -> LinearByClass:
        """What clean paths look like by predicted class, before calibration."""
        layers = LayerTable(clean.layers.select(self.layers))
        bits = clean.path(layers.names)
        rates = class_rates(bits, clean.predictions, class_count(clean), self.prior)
        return from_costs(layers, rates, on=-np.log(rates), off=-np.log1p(-rates))
