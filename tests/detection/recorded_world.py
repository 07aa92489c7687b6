"""The planted images of `evaluation_world` as recordings in folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pathlens.detection.sets import mark_altered
from pathlens.recording import Recording, write_recording
from tests.detection.evaluation_world import CLASSES, Recorded, altered_recording, clean_recording

COLUMNS = ["image", "label", "prediction", "confidence", "source_image", "attack", "group"]


def written(folder: Path, given: Recorded, checkpoint: str = "abc") -> Recording:
    """A recording with random logits that agree with the predictions."""
    images = given.images[[x for x in COLUMNS if x in given.images]]
    rng = np.random.default_rng(0)
    logits = 4 * np.eye(len(CLASSES))[images["prediction"]] + rng.random((len(images), 4))
    return write_recording(
        folder, given.table, images, classes=CLASSES, logits=logits, checkpoint=checkpoint
    )


def write_world(folder: Path, count: int = 400) -> dict[str, Recording]:
    """Recordings "clean", "fgsm-8" (eight in ten succeed) and "noise-8", in one folder."""
    clean = clean_recording(count)
    made = {"clean": written(folder / "clean", clean)}
    for label, benign in (("fgsm-8", False), ("noise-8", True)):
        given = altered_recording(clean, label, 1.0, success=0.8, benign=benign)
        made[label] = written(folder / f"altered-{label}", given)
        mark_altered(made[label], {"label": label, "kind": "benign" if benign else "attack"})
    return made
