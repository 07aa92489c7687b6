"""Detectors whose score is a sum over layers, on one scale for all classes.

What a path of a class must cost differs by class: a class whose gates vary much has paths that all
look unlikely. So the sum is centred and scaled by what clean images of the same predicted class have,
measured on images that the model was not fitted on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats, Ints
from pathlens.detection.data import DetectionData, require_layers
from pathlens.detection.detectors.base import Arrays, class_count, class_rows, require_fitting
from pathlens.detection.detectors.class_tables import class_means, slices
from pathlens.layers import LayerTable

_FOLDS = 5
_PRIOR = 10.0
"""Clean images that the overall centre and scale weigh as much as, beside those of a class."""


class PartsDetector(Protocol):
    """A detector whose score is a sum of the parts of a model."""

    def fit_model(self, clean: DetectionData) -> PartsModel:
        """What clean paths look like by predicted class, before calibration."""
        ...

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedByParts:
        """The inverse of `FittedByParts.to_arrays`."""
        ...


class PartsModel(Protocol):
    """What clean paths look like, by class."""

    @property
    def layers(self) -> LayerTable:
        """The layers it looks at."""
        ...

    @property
    def classes(self) -> int:
        """Number of classes it was fitted on."""
        ...

    def parts(self, data: DetectionData) -> Floats:
        """How far each image strays in each layer, in the model's own units: (images, layers)."""
        ...

    def to_arrays(self) -> Arrays:
        """All that fitting found."""
        ...


@runtime_checkable
class FilterTerms(Protocol):
    """A model whose parts are sums over the filters of each layer."""

    def terms(self, data: DetectionData) -> Floats:
        """What each filter adds, up to a constant of the class and layer: (images, filters)."""
        ...


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the parts of clean images are like.

    Attributes:
        centres: float64 (classes + 1, layers), mean part; the last row is for classes never seen.
        scales: float64 (classes + 1,), standard deviation of the sum of the parts.
    """

    centres: Floats
    scales: Floats

    def apply(self, parts: Floats, rows: Ints) -> Floats:
        """Centred and scaled parts, (images, layers)."""
        return np.asarray((parts - self.centres[rows]) / self.scales[rows, None])


@dataclass(frozen=True, eq=False)
class FittedByParts:
    """A model of clean paths and the scale of what it says.

    Attributes:
        model: The model.
        calibration: Centre and scale by class.
    """

    model: PartsModel = field(repr=False)
    calibration: Calibration = field(repr=False)

    @property
    def layers(self) -> LayerTable:
        """The layers it looks at."""
        return self.model.layers

    def score(self, data: DetectionData) -> Floats:
        """Standard deviations above a clean image of the same predicted class: float64 (images,)."""
        return np.asarray(self.parts(data).sum(axis=1))

    def by_layer(self, data: DetectionData) -> Floats | None:
        """What each layer adds to the score: float64 (images, layers); None if parts are not layers."""
        parts = self.parts(data)
        return parts if parts.shape[1] == len(self.layers) else None

    def by_filter(self, data: DetectionData) -> dict[str, Floats] | None:
        """What each filter adds to the score: layer name to float64 (images, filters).

        Within a layer they add up to `by_layer`: what is left of the layer's part when every filter
        has been held against its own average is shared evenly. None if parts are no sums over filters.
        """
        parts = self.parts(data)
        if not isinstance(self.model, FilterTerms):
            return None
        rows = class_rows(data.predictions, self.model.classes)
        terms = self.model.terms(data) / self.calibration.scales[rows, None]
        found = {}
        for place, (layer, where) in enumerate(zip(self.layers, slices(self.layers), strict=True)):
            own = terms[:, where]
            left = parts[:, place] - own.sum(axis=1)
            found[layer.name] = np.asarray(own + left[:, None] / layer.filters)
        return found

    def parts(self, data: DetectionData) -> Floats:
        """Centred and scaled parts, whose sum is the score: float64 (images, parts)."""
        require_layers(data, self.layers)
        rows = class_rows(data.predictions, self.model.classes)
        return self.calibration.apply(self.model.parts(data), rows)

    def to_arrays(self) -> Arrays:
        """The arrays of the model and of the calibration."""
        found = self.calibration
        own = {"calibration.centres": found.centres, "calibration.scales": found.scales}
        return {**self.model.to_arrays(), **own}


def fit_by_parts(
    fit_model: Callable[[DetectionData], PartsModel], clean: DetectionData
) -> FittedByParts:
    """Fit a model and calibrate it on parts of clean images by models that have not seen them.

    Args:
        fit_model: Fits the model.
        clean: Clean images.

    Raises:
        PathLensError: If there are fewer than 2 images, or what the model needs is missing.
    """
    return fit_with_parts(fit_model, clean)[0]


def fit_with_parts(
    fit_model: Callable[[DetectionData], PartsModel], clean: DetectionData, *others: DetectionData
) -> tuple[FittedByParts, list[Floats]]:
    """As `fit_by_parts`; also the calibrated parts of the clean images and of others.

    All are by the same models, which have not seen the images: what two models say of one path differs
    in its last digits, and a classifier that splits at any digit would tell who said it.
    """
    require_fitting(clean)
    own, *parts = cross_fitted(fit_model, clean, *others)
    calibration = calibrate(own, clean.predictions, class_count(clean))
    fitted = FittedByParts(fit_model(clean), calibration)
    found = [calibration.apply(own, clean.predictions)]
    for images, raw in zip(others, parts, strict=True):
        rows = class_rows(images.predictions, fitted.model.classes)
        found.append(calibration.apply(raw, rows))
    return fitted, found


def restored(model: PartsModel, arrays: Mapping[str, npt.NDArray[Any]]) -> FittedByParts:
    """The inverse of `FittedByParts.to_arrays`, the model being made already."""
    found = Calibration(arrays["calibration.centres"], arrays["calibration.scales"])
    return FittedByParts(model, found)


def cross_fitted(
    fit_model: Callable[[DetectionData], PartsModel], data: DetectionData, *others: DetectionData
) -> list[Floats]:
    """Parts of every image by a model fitted on the other folds: (images, layers) for each data.

    A model is kinder to images that it was fitted on, the more so the fewer they are. Other images are
    in the folds of those that they were made of.
    """
    folds = fold_of(data.predictions)
    places = [folds, *(_folds_of_sources(images, data, folds) for images in others)]
    found: list[Floats] = []
    for fold in range(int(folds.max()) + 1):
        model = fit_model(data.take(folds != fold))
        for number, images in enumerate((data, *others)):
            held = places[number] == fold
            parts = model.parts(images.take(held))
            if number == len(found):
                found.append(np.empty((len(images), parts.shape[1])))
            found[number][held] = parts
    return found


def _folds_of_sources(images: DetectionData, data: DetectionData, folds: Ints) -> Ints:
    """The fold of each image's source; images of sources that are not there go to all in turn."""
    known, number = dict(zip(data.sources, folds, strict=True)), int(folds.max()) + 1
    found = [known.get(source, row % number) for row, source in enumerate(images.sources)]
    return np.array(found, dtype=np.int64)


def fold_of(predicted: Ints, folds: int = _FOLDS) -> Ints:
    """Fold of each image, which spreads the images of every class over all folds: int64 (images,)."""
    order = np.argsort(predicted, kind="stable")
    found = np.empty(len(predicted), dtype=np.int64)
    found[order] = np.arange(len(predicted)) % min(folds, len(predicted))
    return found


def calibrate(parts: Floats, predicted: Ints, classes: int) -> Calibration:
    """Centre and scale by class of the parts of clean images, shrunk towards those of all."""
    centres = class_means(parts, predicted, classes, _PRIOR)
    rest = (parts - centres[predicted]).sum(axis=1)
    variances = class_means(rest[:, None] ** 2, predicted, classes, _PRIOR)[:, 0]
    scales = np.sqrt(variances)
    return Calibration(centres, np.where(scales > 0, scales, 1.0))
