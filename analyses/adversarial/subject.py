"""The network that is attacked, and its images in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pathlens
from pathlens.attacking.alteration import Alteration, Altered, Clean, Networks
from pathlens.attacking.classifier import ImageClassifier, gradient_classifier, in_unit_range
from pathlens.attacking.watching import Watched
from pathlens.datasets.loader import ImageLoader, centre
from pathlens.detection import DetectionData, SavedDetector, detection_data
from pathlens.errors import PathLensError
from pathlens.recorder import planned_images
from pathlens.recording import Recording
from pathlens.training.evaluation import in_batches
from pathlens.training.loading import LoadedRun, load_run

FLOATS = ("scores", "features", "logits")
BATCH = 125


@dataclass(frozen=True)
class Outcome:
    """What network and detector say of attacked images: bool and float64 (images,)."""

    fooled: np.ndarray
    score: np.ndarray


class Subject:
    """A kept network with the recording of its clean test images.

    Args:
        name: Of the run.
        images: Its data set.
    """

    def __init__(self, name: str, images: str | Path) -> None:
        self._images = images
        self.recording: Recording = pathlens.record(name, self._images, columns=FLOATS)
        self.loaded: LoadedRun = load_run(name)

    def right(self) -> DetectionData:
        """The clean images that the network gets right."""
        data = detection_data(self.recording)
        return data.take(data.images["label"].to_numpy(dtype=np.int64) == data.predictions)

    def read(self, ids: Sequence[str], seed: int) -> Clean:
        """Some images, in this order."""
        planned = planned_images(self.loaded, self._images, None, None)
        assert planned.labels is not None
        place = {name: row for row, name in enumerate(planned.ids)}
        rows = [place[name] for name in ids]
        view = self.loaded.config.view
        loader = ImageLoader(planned, view, cache_bytes=0)
        batches = [loader.read(part) for part in in_batches(rows, BATCH)]
        failed = [(planned.ids[row], why) for batch in batches for row, why in batch.failed]
        if failed:
            raise PathLensError(
                f"The image {failed[0][0]} cannot be read ({failed[0][1]}): unpack the images again."
            )
        pixels = torch.cat([centre(batch.canvas, view) for batch in batches])
        labels = torch.from_numpy(np.asarray(planned.labels)[rows])
        return Clean(pixels.contiguous(), labels, tuple(ids), seed)

    def alter(self, attack: Alteration, clean: Clean, gates: str) -> np.ndarray:
        """Attacked images, uint8 (n, 3, H, W)."""
        networks = Networks(
            gradient_classifier(self.loaded, gates), ImageClassifier(self.loaded.network), BATCH
        )
        made: list[Altered] = [
            attack.alter(some(clean, rows), networks)
            for rows in in_batches(range(len(clean)), BATCH)
        ]
        return torch.cat([one.pixels for one in made]).numpy()

    def fooled(self, clean: Clean, pixels: np.ndarray) -> np.ndarray:
        """Whether the network with hard gates misclassifies 8-bit images, bool (n,)."""
        judge = ImageClassifier(self.loaded.network)
        return (judge.predict(torch.from_numpy(pixels), BATCH) != clean.labels).numpy()

    def outcome(self, guard: SavedDetector, clean: Clean, pixels: np.ndarray) -> Outcome:
        """What the network with hard gates and a detector in numpy say of 8-bit images."""
        tensor = torch.from_numpy(pixels)
        watched = Watched(ImageClassifier(self.loaded.network), in_unit_range(tensor[:1]))
        verdict = watched.verdict(guard, tensor, BATCH)
        return Outcome((verdict.predicted != clean.labels).numpy(), verdict.suspicion)


def some(clean: Clean, rows: Sequence[int]) -> Clean:
    """Some of the clean images."""
    places = list(rows)
    ids = tuple(clean.ids[row] for row in places)
    return Clean(clean.pixels[places], clean.labels[places], ids, clean.seed)


def balanced(data: DetectionData, seed: int) -> list[str]:
    """Ids in an order of which every beginning is as even over classes as can be."""
    rng = np.random.default_rng(seed)
    labels = data.images["label"].to_numpy(dtype=np.int64)
    drawn = rng.permutation(len(labels))
    rank = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        own = drawn[labels[drawn] == label]
        rank[own] = np.arange(len(own))
    order = np.lexsort((labels, rank))
    names: list[Any] = data.images["image"].to_numpy(dtype=object)[order].tolist()
    return [str(name) for name in names]
