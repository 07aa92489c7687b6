from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from pathlens.errors import PathLensError
from tests.analysis.conftest import MemoryRecording, planted

EVIL = "<script>alert('x')</script>"
CLASSES = ("cat", EVIL, "$dog$", "x" * 300)
PICTURE = b"\x89PNG not really"


@dataclass
class Pictured(MemoryRecording):
    """Paths in memory with thumbnails, and with scores where they are given."""

    score_table: dict[str, np.ndarray] = field(default_factory=dict)

    def thumbnails(self, positions):
        return [PICTURE + str(int(i)).encode() for i in positions]

    def scores(self, layer):
        name = self.layers.find(layer).name
        if name not in self.score_table:
            raise PathLensError("no scores")
        self.read.append(f"scores of {name}")
        return self.score_table[name]


def make_pictured(*, seed=0, images=240, labelled=True, scores=True):
    """Three layers: unlike in size, the last with a specialist, a mute and a high-energy filter."""
    rng = np.random.default_rng(seed)
    bits, labels = planted(seed, images=images, classes=len(CLASSES), filters=12)
    bits[:, 0], bits[:, 1], bits[:, 2] = True, False, labels == 1
    layers = {
        "body.one": rng.random((images, 5)) < 0.5,
        "body.<b>two</b>": rng.random((images, 8)) < np.linspace(0.05, 0.95, 8),
        "head.class": bits,
    }
    table = pd.DataFrame({"image": [f"{i:03d} <&\"'>.png" for i in range(images)]})
    if labelled:
        table = table.assign(label=labels, prediction=labels, confidence=np.float32(0.5))
    floats = {n: np.where(b, 1, -1) * rng.random(b.shape) for n, b in layers.items()}
    return Pictured(layers, table, CLASSES if labelled else (), None, [], floats if scores else {})


@pytest.fixture
def pictured():
    return make_pictured()
