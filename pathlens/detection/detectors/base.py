"""What every detector has: `fit` on clean images, and a score that is higher for suspicious ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.errors import PathLensError
from pathlens.layers import LayerTable

Arrays = dict[str, npt.NDArray[Any]]


class Fitted(Protocol):
    """A fitted detector."""

    @property
    def layers(self) -> LayerTable:
        """The layers that it looks at, in running order; none for a detector on the output."""
        ...

    def score(self, data: DetectionData) -> Floats:
        """How suspicious each image is: float64 (images,), higher for more suspicious.

        Raises:
            PathLensError: If the data lacks layers or floats that the detector was fitted on.
        """
        ...

    def by_layer(self, data: DetectionData) -> Floats | None:
        """Parts of the score, float64 (images, layers), whose sum it is; None where it is no sum."""
        ...

    def to_arrays(self) -> Arrays:
        """All that fitting found, from which `Detector.from_arrays` makes an equal one."""
        ...


@runtime_checkable
class ByFilter(Protocol):
    """A fitted detector that may say what single filters add; not every one can."""

    def by_filter(self, data: DetectionData) -> dict[str, Floats] | None:
        """Layer name to parts of the score, float64 (images, filters), which add up to `by_layer`.

        None where the parts of layers are no sums over filters.
        """
        ...


class Detector(Protocol):
    """The settings of a detector: a frozen dataclass."""

    @property
    def name(self) -> str:
        """Its key in the registry, which tables show."""
        ...

    @property
    def supervised(self) -> bool:
        """Whether it needs attacked images to fit."""
        ...

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> Fitted:
        """Fit on clean images, and on attacked ones where the detector is supervised.

        Raises:
            PathLensError: If images, predictions or floats are missing.
        """
        ...

    def from_arrays(self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]) -> Fitted:
        """The fitted detector that `Fitted.to_arrays` took apart."""
        ...


def require_fitting(clean: DetectionData) -> None:
    """Make sure that there is something to fit on.

    Raises:
        PathLensError: If there are fewer than 2 clean images.
    """
    if len(clean) < 2:
        raise PathLensError(
            f"There {'is 1 clean image' if len(clean) == 1 else 'are no clean images'} to fit a "
            "detector on: give at least 2, and better 10 of every class."
        )


def require_attacked(name: str, attacked: DetectionData | None) -> DetectionData:
    """The attacked images that a supervised detector is fitted on.

    Raises:
        PathLensError: If there are fewer than 2.
    """
    if attacked is None or len(attacked) < 2:
        raise PathLensError(
            f"The detector {name!r} learns from attacked images and has none: give at least 2 to fit "
            "on, or choose a detector that is fitted on clean images alone."
        )
    return attacked


def class_count(data: DetectionData) -> int:
    """Number of classes: those that are named, and any further one that is predicted."""
    return max(len(data.classes), int(data.predictions.max(initial=-1)) + 1)


def class_rows(predicted: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    """Which row of a table of `classes` + 1 rows is that of the predicted class.

    The last row stands for all classes together, and for a class that fitting has not seen.
    """
    return np.where(predicted < classes, predicted, classes)
