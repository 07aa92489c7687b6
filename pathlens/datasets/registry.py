"""The one door to images: a data set by its name, or a folder by its path."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pathlens.datasets.base import Dataset
from pathlens.datasets.cifar import load_cifar
from pathlens.datasets.digits import load_digits
from pathlens.datasets.folder import load_folder
from pathlens.datasets.pools import Pools, build_dataset
from pathlens.datasets.scenes import load_scenes
from pathlens.errors import PathLensError, unknown

Loader = Callable[[int, bool], Pools]
"""Loads all images of a data set from a seed and leave to download."""

LOADERS: dict[str, Loader] = {
    "scenes": lambda seed, _: load_scenes(seed),
    "scenes:shortcut": lambda seed, _: load_scenes(seed, shortcut=True),
    "digits": lambda seed, _: load_digits(seed),
    "cifar10": lambda _, download: load_cifar("cifar10", download=download),
    "cifar100": lambda _, download: load_cifar("cifar100", download=download),
}
"""The data sets that have a name."""


def load_dataset(
    spec: str | Path, *, seed: int = 0, limit: int | None = None, download: bool = False
) -> Dataset:
    """Load a data set: its images are listed now and read one by one later.

    Args:
        spec: A name in `LOADERS`, or the path of an image folder (see `folder.load_folder`). A name
            goes before a folder of the same name; "./digits" means the folder.
        seed: Decides what is drawn by lot: the pictures of `scenes`, test images where the source
            names none, validation images, and what `limit` keeps. Not negative.
        limit: Keep at most so many images of train and validation together, and of test (of "all"
            for images without labels), as equally many of each class as there are; None: all.
        download: Whether a data set that is not on disk may be fetched.

    Returns:
        The splits "train", "validation" (10 % of the training images) and "test"; or only "all" for
        a flat folder of images without labels.

    Raises:
        PathLensError: If there is no such data set or folder, or its content is not usable.
    """
    if seed < 0:
        raise PathLensError(f"The seed {seed} is negative: give 0 or more.")
    name = str(spec)
    pools = LOADERS[name](seed, download) if name in LOADERS else _load_path(spec, seed)
    return build_dataset(name, pools, seed=seed, limit=limit)


def resolve_spec(spec: str | Path) -> str:
    """The same data set from wherever the next command runs: a name as it is, a path absolute."""
    path = _expanded(spec)
    # What does not exist keeps its spelling, so that the nearest name can be offered.
    return str(spec) if str(spec) in LOADERS or not path.exists() else str(path.resolve())


def _expanded(spec: str | Path) -> Path:
    try:
        return Path(spec).expanduser()
    except RuntimeError as error:
        raise PathLensError(f"There is no home folder for '{spec}': give a full path.") from error


def _load_path(spec: str | Path, seed: int) -> Pools:
    path = _expanded(spec)
    looks_like_path = isinstance(spec, Path) or path.exists() or os.sep in spec
    if looks_like_path:
        return load_folder(path, seed)
    raise PathLensError(
        f"{unknown('data set', str(spec), LOADERS)} The path of an image folder will do as well, "
        f"but there is no folder '{spec}' here."
    )
