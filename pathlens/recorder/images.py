"""Which images are recorded, and which class each of their labels means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pathlens.datasets import ImageSplit, load_dataset
from pathlens.datasets.registry import resolve_spec
from pathlens.datasets.splits import take
from pathlens.errors import PathLensError
from pathlens.training.loading import LoadedRun


def planned_images(
    loaded: LoadedRun, data: str | Path | None, split: str | None, limit: int | None
) -> ImageSplit:
    """The images to record; labels are positions in the network's classes.

    Args:
        loaded: The run.
        data: Data set or image folder; the run's own for None.
        split: Name of the split; "test" for None, or "all" where there is nothing else.
        limit: Size of a seeded, class-balanced subset; None for all.

    Raises:
        PathLensError: If there are no such images.
    """
    config = loaded.config
    spec = resolve_spec(data) if data is not None else config.data
    # The run's own training and validation images are those that its limit kept.
    own = spec == config.data and split in ("train", "validation")
    dataset = load_dataset(spec, seed=config.data_seed, limit=config.limit if own else None)
    only_all = "test" not in dataset.splits
    chosen = dataset.split(split or ("all" if only_all else "test"))
    if limit is not None:
        if limit < 1:
            raise PathLensError(f"--limit {limit} leaves no image: give at least 1.")
        chosen = take(chosen, limit, config.data_seed)
    return _relabelled(chosen, config.classes)


def _relabelled(split: ImageSplit, classes: Sequence[str]) -> ImageSplit:
    """Labels as positions in the network's classes; no labels if it knows other classes."""
    if split.labels is None or tuple(split.classes) == tuple(classes):
        return split
    if not set(split.classes) <= set(classes):
        return replace(split, labels=None, classes=())
    position = np.array([list(classes).index(name) for name in split.classes], dtype=np.int64)
    return replace(split, labels=position[split.labels], classes=tuple(classes))
