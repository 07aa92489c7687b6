"""Which clean images are altered: those that the network gets right, as even over classes as can be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pathlens.attacking.classifier import ImageClassifier
from pathlens.datasets import ImageSplit
from pathlens.datasets.loader import ImageLoader, View, centre
from pathlens.datasets.splits import take
from pathlens.errors import PathLensError, unknown
from pathlens.recorder import planned_images
from pathlens.training.evaluation import in_batches
from pathlens.training.loading import LoadedRun

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ChosenImages:
    """The clean images that are to be altered.

    Attributes:
        split: All images of the split.
        labels: int64 (images of the split,), true classes.
        rows: int64 (n,), ascending positions in the split of those to alter.
        correct: bool (images of the split,), whether the network gets each right when clean.
        readable: Number of images of the split that could be read.
    """

    split: ImageSplit
    labels: Ints
    rows: Ints
    correct: npt.NDArray[np.bool_]
    readable: int

    @property
    def ids(self) -> list[str]:
        """Ids of the images to alter, (n,)."""
        return [self.split.ids[row] for row in self.rows]

    @property
    def clean_accuracy(self) -> float:
        """Share of the split's readable images that the network gets right when clean."""
        return float(self.correct.sum() / self.readable)


def choose_images(
    loaded: LoadedRun,
    judge: ImageClassifier,
    data: str | Path | None,
    split: str | None,
    images: int | Iterable[str] | None,
    *,
    correct_only: bool,
    leave_out: Iterable[str] = (),
    seed: int,
    batch_size: int,
) -> ChosenImages:
    """Look at all images of a split and choose those to alter.

    Args:
        loaded: The run.
        judge: Its network with hard gates.
        data: Data set or folder; the run's own for None.
        split: Name of the split; "test" for None.
        images: Size of a seeded, class-balanced subset, or ids; all for None.
        correct_only: Whether images that the network gets wrong when clean are left out.
        leave_out: Ids that are not taken, unless `images` names them or no others are allowed.
        seed: Draws the subset.
        batch_size: Images a forward pass.

    Raises:
        PathLensError: If the images have no labels, an id does not exist, or none is left.
    """
    planned = planned_images(loaded, data, split, None)
    if planned.labels is None:
        raise PathLensError(
            "The images have no labels that the network knows, so nothing says when an attack has "
            "succeeded: give a data set with the classes of the run."
        )
    predictions = _predictions(planned, loaded.config.view, judge, batch_size)
    correct = predictions == planned.labels
    allowed = np.flatnonzero(correct if correct_only else predictions >= 0)
    if images is None or isinstance(images, (int, np.integer)):
        allowed = _without(planned, allowed, frozenset(leave_out))
    rows = _chosen(planned, allowed, images, seed)
    if not len(rows):
        raise PathLensError(
            f"The network of run {loaded.run.name} gets none of these images right when clean, so "
            "there is nothing to attack: give other images, or a better network."
        )
    return ChosenImages(planned, planned.labels, rows, correct, int((predictions >= 0).sum()))


def _without(planned: ImageSplit, allowed: Ints, left_out: frozenset[str]) -> Ints:
    others = [row for row in allowed if planned.ids[row] not in left_out]
    return np.array(others, dtype=np.int64) if others else allowed


def _chosen(
    planned: ImageSplit, allowed: Ints, images: int | Iterable[str] | None, seed: int
) -> Ints:
    if images is None or not len(allowed):
        return allowed
    if isinstance(images, (int, np.integer)):
        if images < 1:
            raise PathLensError(f"{images} images leave nothing to alter: give at least 1.")
        kept = set(take(planned.subset(allowed), int(images), seed).ids)
    else:
        kept = set(images)
        strangers = sorted(kept - set(planned.ids))
        if strangers:
            raise unknown("image", strangers[0], planned.ids[:10_000])
    return np.array([row for row in allowed if planned.ids[row] in kept], dtype=np.int64)


def _predictions(planned: ImageSplit, view: View, judge: ImageClassifier, batch_size: int) -> Ints:
    """Predicted classes, int64 (images,); -1 where an image cannot be read."""
    found = np.full(len(planned), -1, dtype=np.int64)
    loader = ImageLoader(planned, view, cache_bytes=0)
    for batch in loader.batches(in_batches(range(len(planned)), batch_size)):
        found[batch.positions] = judge.predict(centre(batch.canvas, view), batch_size).numpy()
    return found


def with_centre(canvas: Tensor, inputs: Tensor, view: View) -> Tensor:
    """Canvases (N, 3, canvas, canvas) whose middle is replaced by inputs (N, 3, size, size)."""
    changed = canvas.clone()
    centre(changed, view).copy_(inputs)
    return changed
