"""A small recording with a planted class signal, and the report that is made of it once."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pathlens.analysis.measured.ablations import Ablations
from pathlens.recording import Recording, write_recording
from pathlens.recording.beside import ABLATIONS, EXAMPLES
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


def write_ablations(recording: Recording) -> None:
    """Ablations as probing would write them: a set for all images and for its class."""
    rows = []
    for effect in ("total", "direct"):
        for measure, change in (("accuracy", -0.2), ("logit_true", -1.5)):
            for number, name in ((-1, "all images"), (2, "dog")):
                rows.append(
                    {
                        **{
                            "set": "signature of dog",
                            "filters": "3:4+19",
                            "size": 2,
                            "mode": "off",
                        },
                        **{"effect": effect, "subset": 100, "seed": 0, "class_index": number},
                        **{
                            "class": name,
                            "images": 100 if number < 0 else 34,
                            "measure": measure,
                            "own": 0.8,
                        },
                        **{"ablated": 0.8 + change, "change": change, "low": change - 0.1},
                        **{"high": change + 0.1, "controls": 20, "control": change / 4},
                        **{"control_low": change / 2, "control_high": 0.0, "p": 0.048},
                        **{"rate": 0.5, "norm": 1.0, "control_rate": 0.5, "control_norm": 1.0},
                    }
                )
    table = pd.DataFrame(rows)[Ablations.columns()].assign(recording=recording.hash)
    table.to_csv(recording.folder / ABLATIONS, index=False)


def write_examples(recording: Recording) -> None:
    """Two explained images, the first of which hangs on one filter."""
    small = base64.b64encode(picture(30)).decode()
    one = {"layer": 3, "filter": 4, "drop": 2.0, "becomes": 1, "flips": True, "in_set": True}
    images = [
        {
            **{"image": image, "label": 2, "prediction": 2, "confidence": 0.9, "margin": 1.5},
            **{"picture": small, "filters": [{**one, "overlay": small}], "set": [[3, 4]]},
            **{"flips": flips, "becomes": 1, "others": 20, "others_flip": 0.1, "tried": 12},
        }
        for image, flips in zip(recording.images["image"][:2], (True, False), strict=True)
    ]
    content = {"recording": recording.hash, "images": images}
    (recording.folder / EXAMPLES).write_text(json.dumps(content))


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    made = make_recording(tmp_path_factory.mktemp("runs") / "small" / "recordings" / "test")
    write_swaps(made)
    write_ablations(made)
    write_examples(made)
    return made


@pytest.fixture(scope="session")
def index(recording: Recording) -> Path:
    """The page of the recording, with everything beside it."""
    return report(recording, progress=False, plain=PLAIN)
