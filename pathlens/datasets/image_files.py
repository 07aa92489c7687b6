"""Image files: which names are images, finding them fast, decoding one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pathlens.datasets.base import Pixels, UnreadableImageError
from pathlens.errors import PathLensError

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""What the name of an image ends with, in upper or lower case; other files are not looked at."""

_SIZE_SAMPLE = 64


def list_folder(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the subfolders and of the images in a folder, each sorted; hidden ones left out.

    Raises:
        PathLensError: If the folder cannot be read.
    """
    folders, images = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES and entry.is_file():  # noqa: PTH122
                    images.append(entry.name)
    except OSError as error:
        raise PathLensError(
            f"The folder {folder} cannot be read ({error.strerror}): check its name and permissions."
        ) from error
    return sorted(folders), sorted(images)


def find_images(folder: Path) -> list[str]:
    """Images in a folder and its subfolders, as "/"-separated paths relative to it, sorted.

    Raises:
        PathLensError: If a folder cannot be read.
    """
    return sorted(_walk(folder, "", frozenset()))


def _walk(folder: Path, prefix: str, above: frozenset[str]) -> list[str]:
    # a link to a folder above would go round for ever
    place = os.path.realpath(folder)
    if place in above:
        return []
    folders, images = list_folder(folder)
    found = [prefix + name for name in images]
    for name in folders:
        found += _walk(folder / name, f"{prefix}{name}/", above | {place})
    return found


def read_image(path: Path) -> Pixels:
    """Decode an image file as the camera was held: uint8 (height, width, 3), RGB.

    The EXIF orientation is applied, transparency dropped, 16-bit grey reduced to 8 bits, and of
    several frames or pages the first is taken.

    Raises:
        UnreadableImageError: If it cannot be decoded to its end; the message gives the reason.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(_to_rgb(ImageOps.exif_transpose(image))).copy()
    # decoders of damaged files raise whatever they trip over, not only OSError
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableImageError(f"{path}: {reason}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
            raise ValueError("grey values with more than 16 bits have no known range")
        return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    return image.convert("RGB")


def shared_size(paths: Sequence[Path]) -> int | None:
    """Height and width in pixels if the images are square and of one size; else None.

    Only the headers of 64 images, spread over all, are read; unreadable ones are left out.
    """
    chosen = np.unique(np.linspace(0, len(paths) - 1, _SIZE_SAMPLE).astype(int))
    sizes = {_size(paths[position]) for position in chosen} - {None}
    if len(sizes) != 1:
        return None
    width, height = sizes.pop() or (0, 0)
    return width if width == height else None


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as image:
            return image.size
    except Exception:  # as in read_image
        return None
