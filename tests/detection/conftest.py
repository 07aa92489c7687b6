from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from pathlens.detection.data import DetectionData
from pathlens.layers import Layer, LayerTable

FILTERS = (6, 9, 12)
CLASSES = 3


@dataclass(frozen=True)
class World:
    """Clean images, and images that are taken for another class than most of their path is of."""

    clean: DetectionData
    fresh: DetectionData
    attacked: DetectionData


def make_world(seed: int, images: int = 300, mixing: float = 0.7, effect: float = 1.2) -> World:
    """`mixing` is the chance that a layer of an attacked image is drawn from its true class."""
    rng = np.random.default_rng(seed)
    means = [effect * rng.standard_normal((CLASSES, count)) for count in FILTERS]
    for mean in means:
        mean[:, 0] = 9.0
        mean[:, 1] = -9.0

    def draw(name: str, predicted: np.ndarray, true: np.ndarray, chance: float) -> DetectionData:
        count = len(predicted)
        scores = {}
        for place, mean in enumerate(means):
            strayed = rng.random(count) < chance
            center = mean[np.where(strayed, true, predicted)]
            scores[f"conv{place}"] = (center + rng.standard_normal(center.shape)).astype(np.float32)
        logits = 3.0 * np.eye(CLASSES)[predicted] + 0.5 * rng.standard_normal((count, CLASSES))
        features = np.eye(CLASSES)[predicted] @ np.ones((CLASSES, 4)) * predicted[:, None]
        features = features + rng.standard_normal((count, 4))
        table = LayerTable(Layer(i + 1, f"conv{i}", n) for i, n in enumerate(FILTERS))
        frame = pd.DataFrame(
            {
                "image": [f"{name}/{i}" for i in range(count)],
                "label": true,
                "prediction": logits.argmax(axis=1),
            }
        )
        return DetectionData(
            layers=table,
            classes=("a$b$", "<script>", "c" * 70),
            images=frame,
            bits={key: values > 0 for key, values in scores.items()},
            scores=scores,
            features=features.astype(np.float32),
            logits=logits.astype(np.float32),
        )

    def clean(name: str) -> DetectionData:
        predicted = rng.integers(0, CLASSES, images)
        return draw(name, predicted, predicted, 0.0)

    true = rng.integers(0, CLASSES, images)
    other = (true + rng.integers(1, CLASSES, images)) % CLASSES
    return World(clean("fit"), clean("fresh"), draw("attacked", other, true, mixing))


def auroc(clean: np.ndarray, attacked: np.ndarray) -> float:
    """Chance that an attacked image scores above a clean one, half for ties: a count over all pairs."""
    above = (attacked[:, None] > clean[None, :]).mean()
    return float(above + 0.5 * (attacked[:, None] == clean[None, :]).mean())


@pytest.fixture(scope="session")
def world() -> World:
    return make_world(0)
