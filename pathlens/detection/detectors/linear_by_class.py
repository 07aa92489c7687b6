"""A part that is linear in the gates, with one weight a class and filter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays, class_rows
from pathlens.detection.detectors.class_tables import layer_starts, sums_by_layer
from pathlens.layers import LayerTable


@dataclass(frozen=True, eq=False)
class LinearByClass:
    """part(l) = offset[c, l] + sum over the filters f of layer l of weight[c, f] · z_f.

    c is the predicted class.

    Attributes:
        layers: The layers.
        weights: float32 (classes + 1, filters).
        offsets: float64 (classes + 1, layers).
        rates: float32 (classes + 1, filters), how often gates are on.
    """

    layers: LayerTable
    weights: npt.NDArray[np.float32] = field(repr=False)
    offsets: Floats = field(repr=False)
    rates: npt.NDArray[np.float32] = field(repr=False)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.weights) - 1

    def parts(self, data: DetectionData) -> Floats:
        """float64 (images, layers)."""
        rows = class_rows(data.predictions, self.classes)
        bits = data.path(self.layers.names)
        sums = sums_by_layer(
            lambda block: self.weights[rows[block]] * bits[block],
            len(data),
            layer_starts(self.layers),
        )
        return np.asarray(sums + self.offsets[rows])

    def terms(self, data: DetectionData) -> Floats:
        """What each gate costs beyond what it costs a path of the class on average.

        weight[c, f] · (z_f - rate[c, f]): float64 (images, filters).
        """
        rows = class_rows(data.predictions, self.classes)
        strayed: Floats = data.path(self.layers.names) - self.rates[rows].astype(np.float64)
        return np.asarray(self.weights[rows] * strayed)

    def to_arrays(self) -> Arrays:
        """Weights, offsets and rates."""
        return {"weights": self.weights, "offsets": self.offsets, "rates": self.rates}


def linear_from(layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]) -> LinearByClass:
    """The inverse of `LinearByClass.to_arrays`."""
    return LinearByClass(layers, arrays["weights"], arrays["offsets"], arrays["rates"])


def from_costs(layers: LayerTable, rates: Floats, on: Floats, off: Floats) -> LinearByClass:
    """The sum of what each gate costs.

    Args:
        layers: The layers.
        rates: float64 (classes + 1, filters), how often gates are on.
        on: float64 (classes + 1, filters), cost of a gate that is on.
        off: The same, of a gate that is off.
    """
    offsets = np.add.reduceat(off, layer_starts(layers), axis=1)
    weights = (on - off).astype(np.float32)
    return LinearByClass(layers, weights, offsets, rates.astype(np.float32))
