"""Mahalanobis distance of a path to the mean path of the predicted class, one part a layer.

With a covariance across layers, L L' = covariance in running order, the squared length of
L⁻¹ (x - mean) splits exactly into layers: a layer's part is how surprising it is given the layers
before it. `one-class` looks at gates and `soft-mahalanobis` at scores.
"""

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
from pathlens.detection.detectors.class_tables import class_means, slices, sums_of_blocks
from pathlens.detection.detectors.values import Values, covariance, values_of
from pathlens.layers import LayerSpec, LayerTable

_MOST_ACROSS = 4096
"""Filters up to which one covariance over all layers is kept: 128 MB."""


@dataclass(frozen=True, eq=False)
class Whitened:
    """part(l) = squared length of whitener[l] · (x - mean[c]).

    Attributes:
        layers: The layers.
        values: Whether x is gates or scores.
        means: float32 (classes + 1, filters).
        whiteners: For each layer float32 (its filters, columns): columns are the filters of this
            layer, or of all layers up to it.
    """

    layers: LayerTable
    values: Values
    means: npt.NDArray[np.float32] = field(repr=False)
    whiteners: tuple[npt.NDArray[np.float32], ...] = field(repr=False)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.means) - 1

    def parts(self, data: DetectionData) -> Floats:
        """float64 (images, layers)."""
        rows = class_rows(data.predictions, self.classes)
        values = values_of(data, self.layers, self.values)

        def squares(
            place: slice, whitener: npt.NDArray[np.float32], block: slice
        ) -> npt.NDArray[np.float32]:
            reach = slice(place.stop - whitener.shape[1], place.stop)
            rest = values[block, reach] - self.means[rows[block], reach]
            return np.asarray((rest @ whitener.T) ** 2, dtype=np.float32)

        terms = [
            lambda block, place=place, whitener=whitener: squares(place, whitener, block)
            for place, whitener in zip(slices(self.layers), self.whiteners, strict=True)
        ]
        return sums_of_blocks(terms, len(data))

    def to_arrays(self) -> Arrays:
        """Means, and the whitener of each layer."""
        return {"means": self.means} | {
            f"whitener.{place}": whitener for place, whitener in enumerate(self.whiteners)
        }


@dataclass(frozen=True)
class PathMahalanobis:
    """(x - mean of the predicted class)' covariance⁻¹ (x - mean), the covariance within classes shared.

    The covariance is shrunk as Ledoit & Wolf (2004) do.

    Attributes:
        layers: Layers by number, name or glob; all for None.
        values: Whether x is gates or scores.
        across: Whether the covariance spans layers; beyond 4,096 filters it never does.
        prior: Images of the overall mean that are added to each class.
    """

    layers: tuple[LayerSpec, ...] | None = None
    values: Values = "scores"
    across: bool = True
    prior: float = 2.0
    name: str = "soft-mahalanobis"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedByParts:
        """Means by predicted class and one covariance; `attacked` is not looked at.

        Raises:
            PathLensError: If there are fewer than 2 images, no predictions, or no scores to look at.
        """
        return fit_by_parts(self.fit_model, clean)

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedByParts:
        """The inverse of `to_arrays`."""
        whiteners = tuple(arrays[f"whitener.{place}"] for place in range(len(layers)))
        return restored(Whitened(layers, self.values, arrays["means"], whiteners), arrays)

    def fit_model(self, clean: DetectionData) -> Whitened:
        """What clean paths look like by predicted class, before calibration."""
        layers = LayerTable(clean.layers.select(self.layers))
        values = values_of(clean, layers, self.values)
        means = class_means(values, clean.predictions, class_count(clean), self.prior)
        rest = (values - means[clean.predictions]).astype(np.float32)
        whole = self.across and layers.filters <= _MOST_ACROSS
        whiteners = _across(rest, layers) if whole else _within(rest, layers)
        return Whitened(layers, self.values, means.astype(np.float32), whiteners)


def _within(
    rest: npt.NDArray[np.float32], layers: LayerTable
) -> tuple[npt.NDArray[np.float32], ...]:
    return tuple(_whitener(rest[:, place]).astype(np.float32) for place in slices(layers))


def _across(
    rest: npt.NDArray[np.float32], layers: LayerTable
) -> tuple[npt.NDArray[np.float32], ...]:
    whole = _whitener(rest).astype(np.float32)
    return tuple(np.ascontiguousarray(whole[x, : x.stop]) for x in slices(layers))


def _whitener(rest: npt.NDArray[np.float32]) -> Floats:
    """Inverse of the lower Cholesky factor of the covariance: lower triangular."""
    from scipy.linalg import solve_triangular

    factor = np.linalg.cholesky(covariance(rest))
    return np.asarray(solve_triangular(factor, np.eye(len(factor)), lower=True))
