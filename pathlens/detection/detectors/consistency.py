"""Whether the last layers are as sure of the predicted class as the layers before them warrant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData, require_layers
from pathlens.detection.detectors.base import Arrays, class_count, class_rows, require_fitting
from pathlens.detection.detectors.by_parts import cross_fitted
from pathlens.detection.detectors.class_tables import class_means
from pathlens.detection.detectors.discriminant import Discriminant, fit_discriminant, margin
from pathlens.detection.detectors.values import Values
from pathlens.detection.detectors.votes import discriminant_from
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec, LayerTable

_PRIOR = 10.0


@dataclass(frozen=True, eq=False)
class TwoHalves:
    """Discriminants of the early and of the late layers.

    Attributes:
        layers: All layers.
        early: Discriminant of the early ones together.
        late: Discriminant of the late ones together.
    """

    layers: LayerTable
    early: Discriminant = field(repr=False)
    late: Discriminant = field(repr=False)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.early.offsets)

    def parts(self, data: DetectionData) -> Floats:
        """Margins of the predicted class, early and late: float64 (images, 2)."""
        found = [margin(x.log_posteriors(data), data.predictions) for x in (self.early, self.late)]
        return np.column_stack(found)

    def to_arrays(self) -> Arrays:
        """Both discriminants."""
        return self.early.to_arrays("early") | self.late.to_arrays("late")


@dataclass(frozen=True, eq=False)
class FittedConsistency:
    """The larger of two surprises, in standard deviations of clean images of the predicted class.

    Attributes:
        halves: The discriminants.
        slope: Late margin to be expected for a unit of early margin.
        centres: float64 (classes + 1, 2), mean doubt and excess.
        scales: float64 (2,), their standard deviations.
    """

    halves: TwoHalves = field(repr=False)
    slope: float
    centres: Floats = field(repr=False)
    scales: Floats = field(repr=False)

    @property
    def layers(self) -> LayerTable:
        """The layers it looks at."""
        return self.halves.layers

    def score(self, data: DetectionData) -> Floats:
        """float64 (images,)."""
        require_layers(data, self.layers)
        rows = class_rows(data.predictions, self.halves.classes)
        signs = doubt_and_excess(self.halves.parts(data), self.slope)
        return np.asarray(((signs - self.centres[rows]) / self.scales).max(axis=1))

    def by_layer(self, data: DetectionData) -> None:
        """None: the score is no sum over layers."""
        return

    def to_arrays(self) -> Arrays:
        """All that fitting found."""
        own = {"slope": np.asarray(self.slope), "centres": self.centres, "scales": self.scales}
        return {**self.halves.to_arrays(), **own}


def doubt_and_excess(margins: Floats, slope: float) -> Floats:
    """Minus the early margin, and the late one beyond what the early one warrants: (images, 2)."""
    early, late = margins.T
    return np.column_stack([-early, late - slope * early])


@dataclass(frozen=True)
class Consistency:
    """The larger of doubt (early layers disagree) and excess (late ones are surer than they warrant).

    Weak attacks and those that stop at the boundary leave doubt. Strong ones push the last layers
    beyond what clean images reach, which every one-sided measure of confidence takes for safe.

    Attributes:
        layers: Layers by number, name or glob; all for None. At least two.
        values: Whether to look at gates or scores.
        late: Layers at the end that are late.
        skipped: Layers before them that are neither early nor late, where there are enough layers.
        prior: Images of the overall mean that are added to each class.
    """

    layers: tuple[LayerSpec, ...] | None = None
    values: Values = "bits"
    late: int = 1
    skipped: int = 2
    prior: float = 2.0
    name: str = "consistency"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedConsistency:
        """Two discriminants and how their margins go together; `attacked` is not looked at.

        Raises:
            PathLensError: If there are fewer than 2 images or layers, or no scores to look at.
        """
        require_fitting(clean)
        predicted, classes = clean.predictions, class_count(clean)
        (margins,) = cross_fitted(self.fit_model, clean)
        rest = margins - class_means(margins, predicted, classes, _PRIOR)[predicted]
        slope = float(rest[:, 0] @ rest[:, 1] / max(float(rest[:, 0] @ rest[:, 0]), 1e-12))
        signs = doubt_and_excess(margins, slope)
        centres = class_means(signs, predicted, classes, _PRIOR)
        scales = np.sqrt(((signs - centres[predicted]) ** 2).mean(axis=0))
        return FittedConsistency(
            self.fit_model(clean), slope, centres, np.where(scales > 0, scales, 1.0)
        )

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedConsistency:
        """The inverse of `to_arrays`."""
        early, late = self._split(layers)
        halves = TwoHalves(
            layers,
            discriminant_from(early, self.values, arrays, "early"),
            discriminant_from(late, self.values, arrays, "late"),
        )
        return FittedConsistency(
            halves, float(arrays["slope"]), arrays["centres"], arrays["scales"]
        )

    def fit_model(self, clean: DetectionData) -> TwoHalves:
        """The two discriminants."""
        layers = LayerTable(clean.layers.select(self.layers))
        early, late = (
            fit_discriminant(clean, list(half), self.values, self.prior)
            for half in self._split(layers)
        )
        return TwoHalves(layers, early, late)

    def _split(self, layers: LayerTable) -> tuple[LayerTable, LayerTable]:
        if len(layers) <= self.late:
            raise PathLensError(
                f"The detector {self.name!r} compares early with late layers and has {len(layers)}: "
                f"give it at least {self.late + 1} layers, or choose another detector."
            )
        first_late = len(layers) - self.late
        early = max(first_late - self.skipped, 1)
        return LayerTable(layers[:early]), LayerTable(layers[first_late:])
