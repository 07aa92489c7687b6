"""A small recording to write, break and compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pathlens.layers import Layer, LayerTable
from pathlens.recording import PartRows, Plan, Recording, RecordingWriter
from pathlens.recording.manifest import image_fingerprint

LAYERS = LayerTable(
    [
        Layer(1, "features.3", 13, in_channels=3, output_size=(8, 8), macs=100),
        Layer(2, "features.3.inner", 8),
        Layer(3, "last", 1),
    ]
)


@dataclass(frozen=True)
class Sample:
    """Everything that goes into one recording."""

    plan: Plan
    images: pd.DataFrame
    bits: dict[str, np.ndarray]
    thumbnails: list[bytes]
    broken: frozenset[int]

    def rows(self, index: int) -> PartRows:
        planned = self.plan.part_range(index)
        kept = [i for i in planned if i not in self.broken]
        return PartRows(
            images=self.images.iloc[kept],
            bits={name: bits[kept] for name, bits in self.bits.items()},
            thumbnails=[self.thumbnails[i] for i in kept] if self.plan.thumbnails else None,
            skipped=[
                (self.images["image"][i], 'no, "image"\nat all')
                for i in planned
                if i in self.broken
            ],
        )

    def kept(self) -> list[int]:
        return [i for i in range(self.plan.images) if i not in self.broken]

    def write(self, folder: Path) -> Recording:
        with RecordingWriter(folder, self.plan) as writer:
            for index in writer.missing_parts():
                writer.write_part(index, self.rows(index))
            return writer.finish()


def make_sample(
    seed: int = 0,
    images: int = 25,
    part_size: int = 7,
    broken: tuple[int, ...] = (),
    thumbnails: bool = True,
    checkpoint: str = "a" * 64,
) -> Sample:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "image": [f"test/ß {i:03d}.jpg" for i in range(images)],
            "label": rng.integers(0, 3, images),
            "prediction": rng.integers(0, 3, images),
            "confidence": rng.random(images).astype(np.float32),
            "macs": rng.integers(10**9, 10**12, images),
            "group": [f"video {i // 4}" for i in range(images)],
        }
    )
    plan = Plan(
        checkpoint=checkpoint,
        model="tiny",
        layers=LAYERS,
        images=images,
        fingerprint=image_fingerprint(table["image"].tolist(), table["label"].to_numpy()),
        part_size=part_size,
        columns=list(table.columns),
        thumbnails=thumbnails,
        run="run-1",
        dataset={"name": "made up", "split": "test", "limit": None, "seed": seed},
        transform={"size": 8, "mean": (0.1, 0.2, 0.3)},
        classes=("ant", "bee", "cat"),
        macs_dense=12345,
    )
    return Sample(
        plan=plan,
        images=table,
        bits={layer.name: rng.random((images, layer.filters)) < 0.5 for layer in LAYERS},
        thumbnails=[rng.bytes(int(n)) for n in rng.integers(0, 40, images)],
        broken=frozenset(broken),
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def flip(path: Path, position: int, mask: int = 1) -> None:
    """Flip bits of one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= mask
    path.write_bytes(bytes(content))


def interrupted_after(parts: int, call: Callable[[], Any]) -> None:
    """Let `call` record so many parts, and then be interrupted from the keyboard."""
    from pathlens.recorder.parts import PartRecorder

    original, made = PartRecorder.part, []

    def interrupting(self, plan, index, progress):
        if len(made) == parts:
            raise KeyboardInterrupt
        made.append(index)
        return original(self, plan, index, progress)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PartRecorder, "part", interrupting)
        with pytest.raises(KeyboardInterrupt):
            call()
