"""Baseline: energy of the class scores."""

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
class FittedEnergy(OnOutput):
    """- log sum exp of the logits; there is nothing to fit."""

    def score(self, data: DetectionData) -> Floats:
        """float64 (images,)."""
        logits = data.need_logits().astype(np.float64)
        top = logits.max(axis=1)
        return np.asarray(-top - np.log(np.exp(logits - top[:, None]).sum(axis=1)))

    def to_arrays(self) -> Arrays:
        """Nothing."""
        return {}


@dataclass(frozen=True)
class Energy:
    """Energy at temperature 1 (Liu, Wang, Owens & Li 2020, arXiv 2010.03759)."""

    name: str = "energy"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedEnergy:
        """Nothing is fitted.

        Raises:
            PathLensError: If logits were not recorded.
        """
        clean.need_logits()
        return FittedEnergy()

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedEnergy:
        """The same again."""
        return FittedEnergy()
