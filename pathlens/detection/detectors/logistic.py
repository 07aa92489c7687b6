"""Supervised: logistic regression on a path and its distances by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays
from pathlens.detection.detectors.inputs import Inputs, inputs_from, learn_inputs
from pathlens.detection.detectors.values import Values
from pathlens.layers import LayerSpec, LayerTable


@dataclass(frozen=True, eq=False)
class FittedLogistic:
    """Log odds of being attacked: inputs · weights + offset.

    Attributes:
        inputs: Makes inputs of images.
        weights: float32 (inputs,).
        offset: Log odds where all inputs are average.
    """

    inputs: Inputs = field(repr=False)
    weights: npt.NDArray[np.float32] = field(repr=False)
    offset: float

    @property
    def layers(self) -> LayerTable:
        """The layers it looks at."""
        return self.inputs.layers

    def score(self, data: DetectionData) -> Floats:
        """float64 (images,), log odds."""
        return np.asarray(self.inputs.table(data) @ self.weights + self.offset, dtype=np.float64)

    def by_layer(self, data: DetectionData) -> None:
        """None: weights of single layers mean little beside each other."""
        return

    def to_arrays(self) -> Arrays:
        """Arrays of the inputs, weights and offset."""
        own = {"weights": self.weights, "offset": np.asarray(self.offset)}
        return {**self.inputs.to_arrays(), **own}


@dataclass(frozen=True)
class Logistic:
    """L2-penalised logistic regression, clean and attacked images weighing the same.

    Attributes:
        layers: Layers by number, name or glob; all for None.
        values: Whether it looks at gates or scores.
        strength: Inverse of the penalty, C of scikit-learn.
    """

    layers: tuple[LayerSpec, ...] | None = None
    values: Values = "bits"
    strength: float = 0.01
    name: str = "logistic"
    supervised: bool = True

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedLogistic:
        """Fit to clean and attacked images.

        Raises:
            PathLensError: If there are fewer than 2 of either, or no scores to look at.
        """
        from sklearn.linear_model import LogisticRegression

        examples = learn_inputs(self.name, self.layers, self.values, clean, attacked)
        model = LogisticRegression(C=self.strength, class_weight="balanced", max_iter=500)
        model.fit(examples.table, examples.attacked)
        weights = model.coef_[0].astype(np.float32)
        return FittedLogistic(examples.inputs, weights, float(model.intercept_[0]))

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedLogistic:
        """The inverse of `to_arrays`."""
        inputs = inputs_from(layers, self.values, arrays)
        return FittedLogistic(inputs, arrays["weights"], float(arrays["offset"]))
