"""The images that a concept table is about: those that `pathlens record` would record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pathlens.concept_tables.layout import Ints, shown
from pathlens.datasets.folder import load_folder
from pathlens.errors import PathLensError

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
"""Values of the EXIF orientation that exchange height and width (Exif 2.3, section 4.6.4)."""


@dataclass(frozen=True)
class DataImages:
    """The images of an image folder, with the ids that a recording gives them.

    Attributes:
        root: The folder.
        ids: Paths relative to `root`, with "/".
        classes: Names of the class folders, sorted; empty where there are none.
        labels: int64 (images,), positions in `classes`; None where there are none.
        divided: Whether the folder itself is divided into train/ and test/ or val/.
    """

    root: Path
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: Ints | None
    divided: bool

    def class_labels(self) -> Ints:
        """The labels of a folder that has classes.

        Raises:
            PathLensError: If it has none.
        """
        if self.labels is None:
            raise PathLensError(
                f"{self.root} has no class folders, and this table speaks of classes: give the "
                "folder that holds a folder for each class."
            )
        return self.labels


def data_images(root: str | Path) -> DataImages:
    """List the images of a folder as `pathlens record` does.

    Raises:
        PathLensError: If it is no image folder, as `pathlens.datasets.folder.load_folder` says.
    """
    folder = Path(root).expanduser()
    pools = load_folder(folder)
    splits = [pools.train] + ([pools.test] if pools.test is not None else [])
    labels = [split.labels for split in splits if split.labels is not None]
    classes = pools.train.classes
    return DataImages(
        root=folder,
        ids=tuple(name for split in splits for name in split.ids),
        classes=classes,
        labels=np.concatenate(labels) if labels else None,
        divided=pools.train.ids[0].startswith("train/") and "train" not in classes,
    )


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of an image file in pixels, as the camera was held; only its head is read.

    Raises:
        PathLensError: If it cannot be read.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _TURNED
    # decoders of damaged files raise whatever they trip over, not only OSError
    except Exception as error:
        raise PathLensError(
            f"The image {path} cannot be read ({_reason(error)}): mend it or take it away."
        ) from error
    return (width, height) if turned else (height, width)


def no_match(source: str, named: str, data: DataImages) -> PathLensError:
    """The error for a source whose names fit none of the images."""
    return PathLensError(
        f"{source} matches none of the {len(data.ids)} images in {data.root}: it speaks of "
        f"{named}, the images are called like {shown(data.ids, 1).removesuffix(', ...')}; give the "
        "folder to which its names are relative."
    )


def _reason(error: BaseException) -> str:
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(words.split())
