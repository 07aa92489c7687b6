"""Mean distance to the nearest clean paths of the predicted class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats, Ints
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays, class_count, class_rows
from pathlens.detection.detectors.by_parts import FittedByParts, fit_by_parts, restored
from pathlens.detection.detectors.class_tables import class_means, row_blocks
from pathlens.detection.detectors.values import Values, values_of
from pathlens.layers import LayerSpec, LayerTable


@dataclass(frozen=True, eq=False)
class KnownPaths:
    """Clean paths by predicted class.

    Attributes:
        layers: The layers.
        values: Whether they are gates or scores.
        nearest: Number of neighbours, k.
        scales: float32 (filters,), what differences are divided by.
        known: uint8 or float32 (paths, filters), sorted by class; then a sample of all.
        starts: int64 (classes + 2,), where each class starts; the last one is the sample of all.
    """

    layers: LayerTable
    values: Values
    nearest: int
    scales: npt.NDArray[np.float32] = field(repr=False)
    known: npt.NDArray[Any] = field(repr=False)
    starts: Ints = field(repr=False)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.starts) - 2

    def parts(self, data: DetectionData) -> Floats:
        """Mean squared distance to the k nearest, float64 (images, 1); for gates a Hamming distance.

        A class without any known path is compared with those of all classes.
        """
        rows = class_rows(data.predictions, self.classes)
        values = values_of(data, self.layers, self.values)
        found = np.empty((len(data), 1))
        for one in np.unique(rows):
            chosen = np.flatnonzero(rows == one)
            known = self._scaled(self._known_of(int(one)))
            for block in row_blocks(len(chosen)):
                some = chosen[block]
                found[some, 0] = self._to_nearest(self._scaled(values[some]), known)
        return found

    def to_arrays(self) -> Arrays:
        """The known paths."""
        return {"scales": self.scales, "known": self.known, "starts": self.starts}

    def _known_of(self, one: int) -> npt.NDArray[Any]:
        start, stop = self.starts[one], self.starts[one + 1]
        return self.known[start:stop] if stop > start else self.known[self.starts[-2] :]

    def _scaled(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return np.asarray(values / self.scales, dtype=np.float32)

    def _to_nearest(
        self, values: npt.NDArray[np.float32], known: npt.NDArray[np.float32]
    ) -> Floats:
        squares = (values**2).sum(axis=1)[:, None] + (known**2).sum(axis=1)[None, :]
        distances = np.maximum(squares - 2 * (values @ known.T), 0)
        k = min(self.nearest, len(known))
        return np.asarray(
            np.partition(distances, k - 1, axis=1)[:, :k].mean(axis=1, dtype=np.float64)
        )


@dataclass(frozen=True)
class Neighbours:
    """Mean Hamming distance to the k nearest clean paths of the predicted class.

    With values="scores" the squared Euclidean distance of scores, each divided by its standard
    deviation within classes.

    Attributes:
        layers: Layers by number, name or glob; all for None.
        values: Whether to look at gates or scores.
        nearest: k; all paths of a class where it has fewer.
        most: Known paths that are kept of a class, drawn by seed.
        seed: Seed of that draw.
    """

    layers: tuple[LayerSpec, ...] | None = None
    values: Values = "bits"
    nearest: int = 10
    most: int = 500
    seed: int = 0
    name: str = "neighbours"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedByParts:
        """Keeps clean paths; `attacked` is not looked at.

        Raises:
            PathLensError: If there are fewer than 2 images, no predictions, or no scores to look at.
        """
        return fit_by_parts(self.fit_model, clean)

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedByParts:
        """The inverse of `to_arrays`."""
        known = (arrays[name] for name in ("scales", "known", "starts"))
        return restored(KnownPaths(layers, self.values, self.nearest, *known), arrays)

    def fit_model(self, clean: DetectionData) -> KnownPaths:
        """The clean paths that are kept, before calibration."""
        layers = LayerTable(clean.layers.select(self.layers))
        values, predicted = values_of(clean, layers, self.values), clean.predictions
        chosen = self._chosen(predicted, class_count(clean))
        starts = np.cumsum([0] + [len(rows) for rows in chosen])[:-1]
        known = values[np.concatenate(chosen)]
        return KnownPaths(
            layers,
            self.values,
            self.nearest,
            self._scales(values, predicted),
            known.astype(np.uint8) if self.values == "bits" else known,
            starts.astype(np.int64),
        )

    def _chosen(self, predicted: Ints, classes: int) -> list[Ints]:
        """Rows that are kept of each class, and then of all."""
        rng = np.random.default_rng(self.seed)
        groups = [np.flatnonzero(predicted == one) for one in range(classes)]
        groups.append(np.arange(len(predicted)))
        return [np.sort(rng.permutation(rows)[: self.most]) for rows in groups]

    def _scales(self, values: npt.NDArray[Any], predicted: Ints) -> npt.NDArray[np.float32]:
        if self.values == "bits":
            return np.ones(values.shape[1], dtype=np.float32)
        means = class_means(values, predicted, int(predicted.max()) + 1, prior=1.0)
        spread = np.sqrt(((values - means[predicted]) ** 2).mean(axis=0))
        return np.where(spread > 1e-6, spread, 1.0).astype(np.float32)
