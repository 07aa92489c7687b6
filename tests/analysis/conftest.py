from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from pathlens.layers import Layer, LayerSpec, LayerTable


@dataclass
class MemoryRecording:
    """Paths in memory, with the attributes of a recording that analyses read."""

    bits_by_layer: Mapping[str, np.ndarray]
    images: pd.DataFrame
    classes: tuple[str, ...] = ()
    table: pd.DataFrame | None = None
    read: list[str] = field(default_factory=list)

    @property
    def layers(self) -> LayerTable:
        return LayerTable(
            Layer(index, name, bits.shape[1])
            for index, (name, bits) in enumerate(self.bits_by_layer.items(), start=1)
        )

    def bits(self, layer: LayerSpec) -> np.ndarray:
        name = self.layers.find(layer).name
        self.read.append(name)
        return self.bits_by_layer[name]

    def path_bits(self, specs: Iterable[LayerSpec] | None = None) -> np.ndarray:
        return np.hstack([self.bits(layer.name) for layer in self.layers.select(specs)])

    def concepts(self) -> pd.DataFrame | None:
        return self.table


def make_recording(
    bits: Mapping[str, np.ndarray] | np.ndarray,
    labels: Sequence[int] | np.ndarray | None = None,
    *,
    classes: Sequence[str] = (),
    concepts: Mapping[str, np.ndarray] | None = None,
    **columns: Sequence[object] | np.ndarray,
) -> MemoryRecording:
    """A recording of these bits; `concepts` maps a concept to its value for each image."""
    layers = {"conv": bits} if isinstance(bits, np.ndarray) else dict(bits)
    count = len(next(iter(layers.values()))) if layers else 0
    ids = [f"image/{i:05d}.png" for i in range(count)]
    images = pd.DataFrame({"image": ids})
    if labels is not None:
        images["label"] = np.asarray(labels, dtype=np.int64)
    for name, values in columns.items():
        images[name] = values
    table = None if concepts is None else concept_table(ids, concepts)
    return MemoryRecording(layers, images, tuple(classes), table)


def concept_table(ids: Sequence[str], concepts: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Columns image, concept, value; every image is named."""
    rows = [(image, "", 0.0) for image in ids]
    for name, values in concepts.items():
        rows += [
            (image, name, float(value)) for image, value in zip(ids, values, strict=True) if value
        ]
    return pd.DataFrame(rows, columns=["image", "concept", "value"])


def planted(
    seed: int, images: int = 600, classes: int = 4, filters: int = 24, noise: float = 0.08
) -> tuple[np.ndarray, np.ndarray]:
    """Bits around one random prototype a class, with some flipped; and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    prototypes = rng.random((classes, filters)) < 0.5
    return prototypes[labels] ^ (rng.random((images, filters)) < noise), labels


@pytest.fixture
def ten_classes() -> MemoryRecording:
    """Three layers: static, mixed and class-like, for ten classes with awkward names."""
    bits, labels = planted(0, images=500, classes=10, filters=32)
    rng = np.random.default_rng(1)
    mixed = rng.random((500, 16)) < np.linspace(0, 1, 16)
    still = np.tile(rng.random(8) < 0.6, (500, 1))
    names = ["<script>", "a$b$c", "_hidden", "x" * 60, *"efghij"]
    prediction = np.where(rng.random(500) < 0.9, labels, rng.integers(0, 10, 500))
    return make_recording(
        {"stem.still": still, "body.mixed": mixed, "head.class": bits},
        labels,
        classes=names,
        prediction=prediction,
        concepts={"warm": bits[:, 3] & bits[:, 7], "coin": rng.random(500) < 0.4},
    )
