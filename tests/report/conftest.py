"""A small recording with a planted class signal, and the report that is made of it once."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pathlens.recording import Recording, write_recording
from pathlens.reporting import report

EVIL = "<script>alert(1)</script>"
CLASSES = ("cat", EVIL, "dog")
LAYERS = {"block1.conv": 8, "block2.conv": 12, "block3.conv": 20}
PLAIN = {"run": "plain", "accuracy": 0.75, "images": 150}


def picture(colour: int) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (24, 24), (colour, 90, 160)).save(target, "JPEG")
    return target.getvalue()


def make_recording(
    folder: Path,
    *,
    images: int = 150,
    labelled: bool = True,
    thumbnails: bool = True,
    concepts: bool = True,
    seed: int = 0,
) -> Recording:
    generator = np.random.default_rng(seed)
    label = np.arange(images) % len(CLASSES)
    striped = generator.random(images) < 0.4
    bits = {}
    for name, filters in LAYERS.items():
        wanted = generator.random((len(CLASSES), filters)) < 0.5
        flipped = generator.random((images, filters)) < 0.15
        bits[name] = wanted[label] ^ flipped
        bits[name][:, 0] = striped
        bits[name][:, 1] = True
        bits[name][:, 2] = False
        bits[name][:, -1] = (label == 2) & (generator.random(images) < 0.7)
    table = pd.DataFrame({"image": [f"test/{i:03d} <&\"'>.png" for i in range(images)]})
    if labelled:
        table["label"] = label
        table["prediction"] = np.where(generator.random(images) < 0.8, label, 0)
        table["confidence"] = generator.random(images).astype(np.float32)
    table["macs"] = generator.integers(400, 800, images)
    named = [
        (image, "striped" if on else "", 1.0)
        for image, on in zip(table["image"], striped, strict=True)
    ]
    return write_recording(
        folder,
        bits,
        table,
        classes=CLASSES if labelled else (),
        thumbnails=[picture(60 * (i % 3)) for i in range(images)] if thumbnails else None,
        concepts=pd.DataFrame(named, columns=["image", "concept", "value"]) if concepts else None,
        checkpoint="ab" * 32,
        model="tiny",
        run="small <b>run</b>",
        dataset={"name": "/somewhere/shapes", "split": "test", "limit": None, "seed": 0},
        macs_dense=1000,
    )


def write_swaps(recording: Recording) -> None:
    """Path swaps as probing would write them: all layers, and each alone."""
    rows = [("own path", "all", 0.0), ("majority path, equal MACs", "all", 0.12)]
    rows.append(("path of an image of another predicted class", "all", 0.5))
    rows += [("majority path, equal MACs", name, 0.01 * i) for i, name in enumerate(LAYERS)]
    table = pd.DataFrame(rows, columns=["condition", "layer", "lost"])
    table = table.assign(
        images=len(recording),
        accuracy=0.8 - table["lost"],
        lost_low=table["lost"] - 0.02,
        lost_high=table["lost"] + 0.03,
        macs_share=0.6,
        recording=recording.hash,
    )
    table.to_csv(recording.folder / "path_swaps.csv", index=False)


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    made = make_recording(tmp_path_factory.mktemp("runs") / "small" / "recordings" / "test")
    write_swaps(made)
    return made


@pytest.fixture(scope="session")
def index(recording: Recording) -> Path:
    """The page of the recording, with everything beside it."""
    return report(recording, progress=False, plain=PLAIN)
