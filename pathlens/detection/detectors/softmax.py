"""Baseline: maximum softmax probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays
from pathlens.detection.detectors.outputs import OnOutput
from pathlens.layers import LayerTable


@dataclass(frozen=True, eq=False)
class FittedSoftmax(OnOutput):
    """1 - the largest class probability; there is nothing to fit."""

    def score(self, data: DetectionData) -> Floats:
        """float64 (images,)."""
        logits = data.need_logits().astype(np.float64)
        below = np.exp(logits - logits.max(axis=1, keepdims=True))
        # 1 - 1 / sum rounds to 0 for sure images; the sum without the largest keeps their order.
        below[np.arange(len(below)), logits.argmax(axis=1)] = 0
        rest = below.sum(axis=1)
        return np.asarray(rest / (1 + rest))

    def to_arrays(self) -> Arrays:
        """Nothing."""
        return {}


@dataclass(frozen=True)
class Softmax:
    """1 - maximum softmax probability (Hendrycks & Gimpel 2017, arXiv 1610.02136)."""

    name: str = "softmax"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedSoftmax:
        """Nothing is fitted.

        Raises:
            PathLensError: If logits were not recorded.
        """
        clean.need_logits()
        return FittedSoftmax()

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedSoftmax:
        """The same again."""
        return FittedSoftmax()
