"""What detectors share that cost every gate by its rate in the predicted class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import class_count
from pathlens.detection.detectors.by_parts import FittedByParts, fit_by_parts, restored
from pathlens.detection.detectors.class_tables import class_rates
from pathlens.detection.detectors.linear_by_class import LinearByClass, from_costs, linear_from
from pathlens.layers import LayerSpec, LayerTable


@dataclass(frozen=True)
class ByRates(ABC):
    """A sum over gates of what each costs when on or off, by its rate in the predicted class.

    Attributes:
        layers: Layers by number, name or glob; all for None.
        prior: Images of the overall rates that are added to each class.
    """

    layers: tuple[LayerSpec, ...] | None = None
    prior: float = 2.0
    name: str = ""
    supervised: bool = False

    @staticmethod
    @abstractmethod
    def costs(rates: Floats) -> tuple[Floats, Floats]:
        """Of gates that are on, and of gates that are off, both of the shape of `rates`."""

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
        on, off = self.costs(rates)
        return from_costs(layers, rates, on=on, off=off)
