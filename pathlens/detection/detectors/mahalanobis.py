"""Baseline: Mahalanobis distance of penultimate features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays, class_count, class_rows, require_fitting
from pathlens.detection.detectors.class_tables import class_means
from pathlens.detection.detectors.outputs import OnOutput
from pathlens.detection.detectors.values import covariance
from pathlens.layers import LayerTable

To = Literal["predicted", "nearest"]


@dataclass(frozen=True, eq=False)
class FittedMahalanobis(OnOutput):
    """Squared length of whitener · (features - mean of a class).

    Attributes:
        to: Which class: the predicted one, or the nearest.
        means: float64 (classes + 1, features); the last row is the overall mean.
        whitener: float64 (features, features).
    """

    to: To
    means: Floats = field(repr=False)
    whitener: Floats = field(repr=False)

    def score(self, data: DetectionData) -> Floats:
        """float64 (images,)."""
        features = data.need_features().astype(np.float64) @ self.whitener.T
        means = self.means @ self.whitener.T
        if self.to == "predicted":
            rest = features - means[class_rows(data.predictions, len(means) - 1)]
            return np.asarray((rest**2).sum(axis=1))
        distances = [((features - mean) ** 2).sum(axis=1) for mean in means[:-1]]
        return np.asarray(np.min(distances, axis=0))

    def to_arrays(self) -> Arrays:
        """Means and whitener."""
        return {"means": self.means, "whitener": self.whitener}


@dataclass(frozen=True)
class Mahalanobis:
    """Distance to a class mean under a covariance that all classes share.

    Lee et al. 2018, arXiv 1807.03888; of the penultimate layer alone, and without the input
    perturbation of that paper.

    Attributes:
        to: Distance to the mean of the predicted class, or to the nearest as in the paper.
        prior: Images of the overall mean that are added to each class.
    """

    to: To = "predicted"
    prior: float = 0.0
    name: str = "mahalanobis"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedMahalanobis:
        """Means by predicted class and one covariance; `attacked` is not looked at.

        Raises:
            PathLensError: If there are fewer than 2 images, or no features.
        """
        require_fitting(clean)
        features, predicted = clean.need_features(), clean.predictions
        means = class_means(features, predicted, class_count(clean), max(self.prior, 1e-9))
        factor = np.linalg.cholesky(covariance(features - means[predicted]))
        return FittedMahalanobis(self.to, means, np.linalg.inv(factor))

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedMahalanobis:
        """The inverse of `to_arrays`."""
        return FittedMahalanobis(self.to, arrays["means"], arrays["whitener"])
