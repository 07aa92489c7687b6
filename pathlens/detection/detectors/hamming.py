"""Rate-weighted Hamming distance of a path to the class path of the predicted class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import class_count
from pathlens.detection.detectors.by_parts import FittedByParts, fit_by_parts, restored
from pathlens.detection.detectors.class_tables import class_rates
from pathlens.detection.detectors.linear_by_class import LinearByClass, from_costs, linear_from
from pathlens.layers import LayerSpec, LayerTable


@dataclass(frozen=True)
class Hamming:
    """sum over f of |z_f - p_cf|: the Hamming distance to be expected to a random path of the class.

    p_cf is the rate of gate f among clean images of the predicted class c.

    Attributes:
        layers: Layers by number, name or glob; all for None.
        prior: Images of the overall rates that are added to each class.
    """

    layers: tuple[LayerSpec, ...] | None = None
    prior: float = 2.0
    name: str = "hamming"
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
        return from_costs(layers, rates, on=1 - rates, off=rates)
