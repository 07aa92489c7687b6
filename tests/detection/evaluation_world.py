"""Planted recordings and small detectors whose quality is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pathlens.detection.data import DetectionData
from pathlens.layers import Layer, LayerSpec, LayerTable

CLASSES = ("cat", "do$g", "_ship", "<b>deer</b>")


@dataclass
class Recorded:
    """Paths in memory, with the attributes of a recording that evaluation reads."""

    images: pd.DataFrame
    table: Mapping[str, np.ndarray]
    classes: tuple[str, ...] = CLASSES
    manifest: dict[str, Any] = field(default_factory=lambda: {"checkpoint": "abc"})

    @property
    def layers(self) -> LayerTable:
        return LayerTable(
            Layer(place, name, bits.shape[1])
            for place, (name, bits) in enumerate(self.table.items(), start=1)
        )

    def bits(self, layer: LayerSpec) -> np.ndarray:
        return self.table[self.layers.find(layer).name]

    def concepts(self) -> None:
        return None


@dataclass(frozen=True)
class Column:
    """A detector that reads a column of the images; supervised ones learn its sign."""

    column: str
    name: str = "column"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedColumn:
        if not self.supervised:
            return FittedColumn(self.column, 1.0)
        assert attacked is not None
        gap = attacked.images[self.column].mean() - clean.images[self.column].mean()
        return FittedColumn(self.column, float(np.sign(gap)))


@dataclass(frozen=True)
class FittedColumn:
    column: str
    sign: float

    def score(self, data: DetectionData) -> np.ndarray:
        return self.sign * data.images[self.column].to_numpy(dtype=np.float64)

    def by_layer(self, data: DetectionData) -> None:
        return None


@dataclass(frozen=True)
class Seen:
    """A detector that remembers which sources it was shown."""

    log: list[tuple[str, set[str]]]
    name: str = "seen"
    supervised: bool = True

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> Seen:
        self.log.append(("clean", set(clean.sources)))
        if attacked is not None:
            self.log.append(("attacked", set(attacked.sources)))
        return self

    def score(self, data: DetectionData) -> np.ndarray:
        self.log.append(("scored", set(data.sources)))
        return np.arange(len(data), dtype=np.float64)


def clean_recording(
    count: int = 800, seed: int = 0, wrong: float = 0.1, filters: int = 12
) -> Recorded:
    """Clean images of four classes; `signal` is N(0, 1), gates follow the class more with depth."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    prediction = np.where(rng.random(count) < wrong, (labels + 1) % len(CLASSES), labels)
    images = pd.DataFrame(
        {
            "image": [f"{i:05d}.png" for i in range(count)],
            "label": labels,
            "prediction": prediction,
            "confidence": 0.4 + 0.6 * rng.beta(5, 1, count),
            "signal": rng.normal(size=count),
        }
    )
    return Recorded(images, _paths(labels, rng, filters))


def altered_recording(
    clean: Recorded,
    name: str,
    shift: float,
    seed: int = 1,
    success: float = 1.0,
    count: int | None = None,
    crosses: int = 2,
    benign: bool = False,
) -> Recorded:
    """Images made of the first `count` clean ones: signal N(shift, 1), another class on success.

    The gates of layers from `crosses` on (from 0) are those of the predicted class.
    """
    rng = np.random.default_rng(seed)
    source = clean.images if count is None else clean.images.iloc[:count]
    labels = source["label"].to_numpy()
    fooled = rng.random(len(source)) < (0.03 if benign else success)
    prediction = np.where(fooled, (labels + 1) % len(CLASSES), labels)
    images = pd.DataFrame(
        {
            "image": [f"{name}/{x}" for x in source["image"]],
            "label": labels,
            "prediction": prediction,
            "confidence": 0.4 + 0.6 * rng.beta(1 + 4 * benign, 1, len(source)),
            "source_image": source["image"].to_numpy(),
            "attack": name,
            "signal": rng.normal(size=len(source)) + shift,
        }
    )
    early, late = _paths(labels, rng), _paths(prediction, rng)
    bits = {x: (late if i >= crosses else early)[x] for i, x in enumerate(early)}
    return Recorded(images, bits)


def _paths(
    labels: np.ndarray, rng: np.random.Generator, filters: int = 12
) -> dict[str, np.ndarray]:
    """Four layers with a prototype a class."""
    prototypes = np.random.default_rng(99).random((4, len(CLASSES), filters)) < 0.5
    return {
        f"body.{layer}": prototypes[layer][labels] ^ (rng.random((len(labels), filters)) < 0.15)
        for layer in range(4)
    }
