"""Whether the path itself speaks for the predicted class, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays
from pathlens.detection.detectors.by_parts import FittedByParts, fit_by_parts, restored
from pathlens.detection.detectors.discriminant import Discriminant, fit_discriminant, margin
from pathlens.detection.detectors.values import Values
from pathlens.layers import LayerSpec, LayerTable


@dataclass(frozen=True, eq=False)
class Ballots:
    """part(l) = minus the margin of the predicted class in the discriminant of layer l.

    Attributes:
        layers: The layers.
        voters: One discriminant a layer.
    """

    layers: LayerTable
    voters: tuple[Discriminant, ...] = field(repr=False)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.voters[0].offsets)

    def parts(self, data: DetectionData) -> Floats:
        """float64 (images, layers)."""
        predicted = data.predictions
        found = [-margin(voter.log_posteriors(data), predicted) for voter in self.voters]
        return np.column_stack(found)

    def to_arrays(self) -> Arrays:
        """The discriminants."""
        return {
            key: array
            for place, voter in enumerate(self.voters)
            for key, array in voter.to_arrays(f"voter.{place}").items()
        }


@dataclass(frozen=True)
class Votes:
    """Sum over layers of the evidence against the predicted class.

    An attack has to move the last layers; the layers before them still speak, weakly, for what is in
    the image.

    Attributes:
        layers: Layers by number, name or glob; all for None.
        values: Whether to look at gates or scores.
        prior: Images of the overall mean that are added to each class.
    """

    layers: tuple[LayerSpec, ...] | None = None
    values: Values = "bits"
    prior: float = 2.0
    name: str = "votes"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedByParts:
        """A discriminant a layer; `attacked` is not looked at.

        Raises:
            PathLensError: If there are fewer than 2 images, no predictions, or no scores to look at.
        """
        return fit_by_parts(self.fit_model, clean)

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedByParts:
        """The inverse of `to_arrays`."""
        voters = tuple(
            discriminant_from(LayerTable([layer]), self.values, arrays, f"voter.{place}")
            for place, layer in enumerate(layers)
        )
        return restored(Ballots(layers, voters), arrays)

    def fit_model(self, clean: DetectionData) -> Ballots:
        """What clean paths look like by predicted class, before calibration."""
        layers = LayerTable(clean.layers.select(self.layers))
        voters = [fit_discriminant(clean, [x], self.values, self.prior) for x in layers]
        return Ballots(layers, tuple(voters))


def discriminant_from(
    layers: LayerTable, values: Values, arrays: Mapping[str, npt.NDArray[Any]], prefix: str
) -> Discriminant:
    """The inverse of `Discriminant.to_arrays`."""
    weights, offsets = arrays[f"{prefix}.weights"], arrays[f"{prefix}.offsets"]
    return Discriminant(layers, values, weights, offsets)
