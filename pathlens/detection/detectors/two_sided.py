"""Baselines that find a network too sure of an image as strange as one that is too unsure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import (
    Arrays,
    Detector,
    Fitted,
    class_count,
    class_rows,
    require_fitting,
)
from pathlens.detection.detectors.energy import Energy
from pathlens.detection.detectors.outputs import OnOutput
from pathlens.layers import LayerTable


@dataclass(frozen=True, eq=False)
class FittedTwoSided(OnOutput):
    """Distance of a score of the output from its median over clean images of the predicted class.

    `pathlens.detection.differentiable` has no counterpart of it in torch and refuses it: it is attacked
    by transfer from the one-sided score, or by a search that needs scores alone.

    Attributes:
        of: Gives the score.
        log_odds: Whether the score is a probability, and its log-odds are looked at.
        centres: float64 (classes + 1,), medians; the last is that of all images.
    """

    of: Fitted
    log_odds: bool
    centres: Floats = field(repr=False)

    def score(self, data: DetectionData) -> Floats:
        """float64 (images,)."""
        rows = class_rows(data.predictions, len(self.centres) - 1)
        return np.asarray(np.abs(_values(self.of, self.log_odds, data) - self.centres[rows]))

    def to_arrays(self) -> Arrays:
        """The medians, and the arrays of the score."""
        return {**self.of.to_arrays(), "medians": self.centres}


@dataclass(frozen=True)
class TwoSided:
    """|score - median of clean images of the predicted class|, for a baseline on the output.

    Strong attacks make a network surer of the wrong class than it is of clean images, which one-sided
    scores take for a sign of a clean image. Detectors on paths see both sides; so do these.

    Attributes:
        of: The baseline whose score is looked at.
        log_odds: Whether its score is a probability of 0 to 1, of which the log-odds are taken: nearly
            all clean images are so close to 0 that nothing could be far below them.
    """

    of: Detector = field(default_factory=Energy)
    log_odds: bool = False
    name: str = "energy-two-sided"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedTwoSided:
        """Medians by predicted class; `attacked` is not looked at.

        Raises:
            PathLensError: If there are fewer than 2 images, or logits were not recorded.
        """
        require_fitting(clean)
        fitted = self.of.fit(clean)
        values, predicted = _values(fitted, self.log_odds, clean), clean.predictions
        centres = np.full(class_count(clean) + 1, np.median(values))
        for label in np.unique(predicted):
            centres[label] = np.median(values[predicted == label])
        return FittedTwoSided(fitted, self.log_odds, centres)

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedTwoSided:
        """The inverse of `to_arrays`."""
        fitted = self.of.from_arrays(layers, arrays)
        return FittedTwoSided(fitted, self.log_odds, arrays["medians"])


def _values(of: Fitted, log_odds: bool, data: DetectionData) -> Floats:
    scores = of.score(data)
    if not log_odds:
        return scores
    least = np.finfo(np.float64).tiny
    return np.asarray(np.log(np.maximum(scores, least)) - np.log1p(-scores))
