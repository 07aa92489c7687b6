"""Whether the parts of a path go together as they do on clean images: too much as well as too little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays
from pathlens.detection.detectors.by_parts import FittedByParts, PartsDetector, fit_with_parts
from pathlens.detection.detectors.values import covariance
from pathlens.detection.detectors.votes import Votes
from pathlens.layers import LayerTable


@dataclass(frozen=True, eq=False)
class FittedTypicality:
    """Squared length of whitener · parts.

    Attributes:
        parts: Gives the parts of an image, centred by predicted class.
        whitener: float64 (layers, layers), lower triangular.
    """

    parts: FittedByParts = field(repr=False)
    whitener: Floats = field(repr=False)

    @property
    def layers(self) -> LayerTable:
        """The layers it looks at."""
        return self.parts.layers

    def score(self, data: DetectionData) -> Floats:
        """float64 (images,)."""
        return np.asarray(self.by_layer(data).sum(axis=1))

    def by_layer(self, data: DetectionData) -> Floats:
        """How unusual each layer is given the layers before it: float64 (images, layers)."""
        return np.asarray((self.parts.parts(data) @ self.whitener.T) ** 2)

    def to_arrays(self) -> Arrays:
        """The arrays of the parts, and the whitener."""
        return {**self.parts.to_arrays(), "typical": self.whitener}


@dataclass(frozen=True)
class Typicality:
    """Mahalanobis distance of the parts of another detector from those of clean images, two-sided.

    A strong attack makes the last layers surer of the predicted class than clean images do while the
    layers before them are less sure: each is unusual given the others, whatever its sign.

    Attributes:
        of: The detector whose parts are looked at.
    """

    of: PartsDetector = field(default_factory=Votes)
    name: str = "typicality"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedTypicality:
        """Parts of clean images and their covariance; `attacked` is not looked at.

        Raises:
            PathLensError: If there are fewer than 2 images, or what `of` needs is missing.
        """
        fitted, (parts,) = fit_with_parts(self.of.fit_model, clean)
        return FittedTypicality(fitted, np.linalg.inv(np.linalg.cholesky(covariance(parts))))

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedTypicality:
        """The inverse of `to_arrays`."""
        return FittedTypicality(self.of.from_arrays(layers, arrays), arrays["typical"])
