"""`cifar10` and `cifar100`: the archives of Krizhevsky (2009), read by torchvision."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from pathlens.datasets.base import ImageSplit, Pixels
from pathlens.datasets.pools import Pools
from pathlens.errors import PathLensError
from pathlens.files import clear_disk_errors

SIZE = 32
"""Height and width of a CIFAR image, in pixels."""

_CLASS_NAMES = {"cifar10": "CIFAR10", "cifar100": "CIFAR100"}
_DAMAGE = (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError)


def data_root() -> Path:
    """Folder that holds data sets on disk: `$PATHLENS_DATA`, by default `data` where one stands."""
    return Path(os.environ.get("PATHLENS_DATA", "data"))


def load_cifar(name: str, *, download: bool = False) -> Pools:
    """Load CIFAR-10 or CIFAR-100 with its own test set; all pixels stay in memory (180 MB).

    Args:
        name: "cifar10" or "cifar100" (its 100 fine classes).
        download: Whether to fetch the archive (170 MB) if it is not there or is damaged.

    Raises:
        PathLensError: If the archive is missing, damaged, or cannot be fetched.
    """
    import torchvision.datasets

    source = getattr(torchvision.datasets, _CLASS_NAMES[name])
    root = data_root()
    folder = root / source.base_folder
    if download:
        _download(name, source, root)
    elif not folder.is_dir():
        raise PathLensError(
            f"{name} is not there: {folder} does not exist. Add `--download` to fetch it, or set "
            "PATHLENS_DATA to the folder that holds it."
        )
    try:
        train, test = source(root, train=True), source(root, train=False)
        return Pools(_pool("train", train), _pool("test", test), SIZE)
    except _DAMAGE as error:
        raise PathLensError(
            f"{name} in {folder} is damaged or incomplete: delete that folder and fetch it again "
            "with `--download`."
        ) from error


def _download(name: str, source: Any, root: Path) -> None:
    """Fetch and unpack the archive, unless it is there and whole."""
    try:
        with clear_disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            source(root, download=True)
    except (OSError, EOFError, RuntimeError) as error:
        raise PathLensError(
            f"{name} could not be fetched from {source.url} ({error}): check the connection, or "
            f"unpack the archive into {root} yourself."
        ) from error


def _pool(pool: str, source: Any) -> ImageSplit:
    pixels: Pixels = source.data
    labels = np.asarray(source.targets, dtype=np.int64)
    classes = tuple(source.classes)
    if len(labels) != len(pixels) or not 0 <= labels.min() <= labels.max() < len(classes):
        raise ValueError("labels do not fit the images or the classes")
    return ImageSplit(
        name=pool,
        ids=tuple(f"{pool}/{index:05d}" for index in range(len(pixels))),
        labels=labels,
        classes=classes,
        read=lambda position: np.ascontiguousarray(pixels[position]).copy(),
    )
