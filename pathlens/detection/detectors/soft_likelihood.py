"""Log-likelihood of the gate scores under a normal distribution a filter and predicted class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays, class_count, class_rows
from pathlens.detection.detectors.by_parts import FittedByParts, fit_by_parts, restored
from pathlens.detection.detectors.class_tables import (
    class_means,
    class_sums,
    layer_starts,
    shrunk,
    sums_by_layer,
)
from pathlens.layers import LayerSpec, LayerTable


@dataclass(frozen=True, eq=False)
class DiagonalNormal:
    """part(l) = offset[c, l] + sum over the filters f of layer l of (root[c, f] · (g_f - mean[c, f]))².

    Attributes:
        layers: The layers.
        means: float32 (classes + 1, filters).
        roots: float32 (classes + 1, filters), square root of half the precision.
        offsets: float64 (classes + 1, layers), half the logarithms of the variances.
    """

    layers: LayerTable
    means: npt.NDArray[np.float32] = field(repr=False)
    roots: npt.NDArray[np.float32] = field(repr=False)
    offsets: Floats = field(repr=False)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.means) - 1

    def parts(self, data: DetectionData) -> Floats:
        """float64 (images, layers)."""
        rows = class_rows(data.predictions, self.classes)
        scores = data.path_scores(self.layers.names)

        def squares(block: slice) -> npt.NDArray[np.float32]:
            rest = scores[block] - self.means[rows[block]]
            rest *= self.roots[rows[block]]
            rest *= rest
            return rest

        sums = sums_by_layer(squares, len(data), layer_starts(self.layers))
        return np.asarray(sums + self.offsets[rows])

    def terms(self, data: DetectionData) -> Floats:
        """What each gate score costs beyond what it costs a path of the class on average.

        (root[c, f] · (g_f - mean[c, f]))² - 1/2: float64 (images, filters).
        """
        rows = class_rows(data.predictions, self.classes)
        rest = data.path_scores(self.layers.names) - self.means[rows].astype(np.float64)
        return np.asarray((rest * self.roots[rows]) ** 2 - 0.5)

    def to_arrays(self) -> Arrays:
        """Means, roots and offsets."""
        return {"means": self.means, "roots": self.roots, "offsets": self.offsets}


@dataclass(frozen=True)
class SoftLikelihood:
    """- sum over f of log N(g_f; mean of the predicted class, its variance), up to a constant (nats).

    Attributes:
        layers: Layers by number, name or glob; all for None.
        prior: Images of the overall mean that are added to each class.
        variance_prior: Images of the variance within all classes that are added to each class.
    """

    layers: tuple[LayerSpec, ...] | None = None
    prior: float = 2.0
    variance_prior: float = 20.0
    name: str = "soft-likelihood"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedByParts:
        """Means and variances by predicted class; `attacked` is not looked at.

        Raises:
            PathLensError: If there are fewer than 2 images, no predictions or no scores.
        """
        return fit_by_parts(self.fit_model, clean)

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedByParts:
        """The inverse of `to_arrays`."""
        model = DiagonalNormal(layers, arrays["means"], arrays["roots"], arrays["offsets"])
        return restored(model, arrays)

    def fit_model(self, clean: DetectionData) -> DiagonalNormal:
        """What clean paths look like by predicted class, before calibration."""
        layers = LayerTable(clean.layers.select(self.layers))
        scores = clean.path_scores(layers.names)
        predicted, classes = clean.predictions, class_count(clean)
        means = class_means(scores, predicted, classes, self.prior)
        variances = self._variances((scores - means[predicted]) ** 2, predicted, classes)
        offsets = np.add.reduceat(0.5 * np.log(variances), layer_starts(layers), axis=1)
        roots = np.sqrt(0.5 / variances).astype(np.float32)
        return DiagonalNormal(layers, means.astype(np.float32), roots, offsets)

    def _variances(self, squares: Floats, predicted: npt.NDArray[np.int64], classes: int) -> Floats:
        """Shrunk variances, with a floor for filters whose score never varies."""
        sums, sizes = class_sums(squares, predicted, classes)
        overall = sums.sum(axis=0) / len(squares)
        floor = max(1e-6 * float(overall.mean()), 1e-12)
        return np.maximum(shrunk(sums, sizes, overall, self.variance_prior), floor)
