"""Masks as the network sees their images: the same resizing and cropping, nearest neighbour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pathlens.analysis.source import Bits, Ints
from pathlens.concept_tables.mask_classes import MaskClasses, read_mask_classes
from pathlens.concept_tables.masks import MASK_SUFFIXES, codes_of, pair_by_stem
from pathlens.datasets.base import ImageSplit, Pixels, UnreadableImageError
from pathlens.datasets.image_files import find_images
from pathlens.datasets.loader import View, centre, normalise, to_canvas
from pathlens.errors import PathLensError
from pathlens.training.evaluation import in_batches

DATASET = "dataset"
"""What is given instead of a folder where the data set brings its masks itself, as scenes do."""

_THREADS = 2


@dataclass(frozen=True)
class MaskFolder:
    """A folder of masks; everything means what it means to `pathlens.concepts.build_masks`.

    Attributes:
        folder: The masks: that of `a/b.jpg` is `folder/a/b.png`, of the size of the image.
        classes: File with a line `number name` or `red green blue name` for every class.
        void: Unlabelled classes: names, numbers or colours; None: by their usual names.
        ending: What the names of masks have more than those of images.
    """

    folder: str | Path
    classes: str | Path
    void: Sequence[str] | None = None
    ending: str = ""

    def read_classes(self) -> MaskClasses:
        """What the pixels mean; refuses early what cannot be read.

        Raises:
            PathLensError: If there is no such folder, or the file of classes cannot be read.
        """
        if not self.path.is_dir():
            raise PathLensError(f"There is no folder of masks {self.folder}: check its name.")
        return read_mask_classes(self.classes, self.void)

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.folder).expanduser()


Masks = MaskFolder | Literal["dataset"]
"""Where masks are from: a folder, or the data set itself."""


class MaskSource(Protocol):
    """Masks of the images of a split."""

    @property
    def names(self) -> tuple[str, ...]:
        """The concepts that have pixels."""
        ...

    def has(self, position: int) -> bool:
        """Whether the image at a position has a mask."""
        ...

    def planes(self, position: int, concepts: Sequence[str], size: tuple[int, int]) -> Bits:
        """The labelled pixels of an image, then those of each concept.

        Args:
            position: Position of an image that has a mask.
            concepts: Some of `names`.
            size: Height and width of the image.

        Returns:
            bool (1 + concepts, height, width).

        Raises:
            PathLensError: If the mask cannot be read, or is not of the size of its image.
        """
        ...


def open_masks(masks: Masks, images: ImageSplit) -> MaskSource:
    """The masks of some images.

    Raises:
        PathLensError: If the folder holds none of these images, or the data set brings none.
    """
    if isinstance(masks, MaskFolder):
        classes = masks.read_classes()
        return _FolderMasks(images.ids, classes, _pairs(masks, images.ids))
    if masks != DATASET:
        raise PathLensError(
            f"Masks are a MaskFolder, or '{DATASET}' for those of the data set itself; "
            f"{masks!r} is neither."
        )
    if images.masks is None:
        raise PathLensError(
            f"The data set of these '{images.name}' images brings no masks: give a folder of them."
        )
    telling = range(len(images)) if images.concepts is None else _first_with_each(images)
    names = {name for position in telling for name in images.masks(position)}
    return _DatasetMasks(images, tuple(sorted(names)))


def _first_with_each(images: ImageSplit) -> list[int]:
    """Positions of the first image with each concept: to draw every mask takes minutes."""
    assert images.concepts is not None
    table = images.concepts[images.concepts["value"] > 0]
    first = set(table.drop_duplicates("concept")["image"])
    return [position for position, image in enumerate(images.ids) if image in first]


def _pairs(masks: MaskFolder, ids: Sequence[str]) -> dict[int, Path]:
    """Position of every image that has a mask, and the mask."""
    found = [name for name in find_images(masks.path) if Path(name).suffix.lower() in MASK_SUFFIXES]
    own = pair_by_stem(ids, found, masks.ending)
    pairs = {i: masks.path / own[image] for i, image in enumerate(ids) if image in own}
    if not pairs:
        example = f"masks like {found[0]}" if found else "no masks at all"
        raise PathLensError(
            f"The folder of masks {masks.folder} holds {example}, and none of the {len(ids)} images, "
            f"which are called like {ids[0]}: give the folder to which their names are relative."
        )
    return pairs


@dataclass(frozen=True)
class _FolderMasks:
    """Masks in files."""

    ids: Sequence[str] = field(repr=False)
    classes: MaskClasses
    paths: dict[int, Path] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        return self.classes.names

    def has(self, position: int) -> bool:
        return position in self.paths

    def planes(self, position: int, concepts: Sequence[str], size: tuple[int, int]) -> Bits:
        path, classes = self.paths[position], self.classes
        codes = codes_of(path, classes)
        if codes.shape != size:
            raise PathLensError(
                f"The mask {path} is {codes.shape[1]} x {codes.shape[0]} pixels, but its image "
                f"{self.ids[position]} is {size[1]} x {size[0]}: give masks of the size of the images."
            )
        strange = np.setdiff1d(codes, np.concatenate([classes.codes, classes.void]))
        if len(strange):
            raise PathLensError(
                f"The mask {path} has pixels of class {classes.spell(int(strange[0]))}, which "
                f"{classes.source} does not name: add it there."
            )
        of = dict(zip(classes.names, classes.codes.tolist(), strict=True))
        each = [codes == of[name] for name in concepts]
        return np.stack([~np.isin(codes, classes.void), *each])


@dataclass(frozen=True)
class _DatasetMasks:
    """Masks that the data set brings, in which every pixel is labelled."""

    images: ImageSplit
    names: tuple[str, ...]

    def has(self, position: int) -> bool:
        return True

    def planes(self, position: int, concepts: Sequence[str], size: tuple[int, int]) -> Bits:
        assert self.images.masks is not None
        found = self.images.masks(position)
        nothing = np.zeros(size, dtype=np.bool_)
        return np.stack([~nothing, *(found.get(name, nothing) for name in concepts)])


@dataclass(frozen=True)
class MaskedBatch:
    """Some images with their masks, as the network sees them in evaluation.

    Attributes:
        rows: int64 (N,), positions of the images.
        x: Normalised, float32 (N, 3, size, size).
        pictures: The same as uint8 (N, size, size, 3).
        labelled: bool (N, size, size), pixels of which it is known what they are.
        concepts: bool (N, concepts, size, size), pixels of each concept.
    """

    rows: Ints
    x: Tensor = field(repr=False)
    pictures: Pixels = field(repr=False)
    labelled: Bits = field(repr=False)
    concepts: Bits = field(repr=False)


@dataclass(frozen=True)
class MaskedImages:
    """Images and their masks, read a batch at a time.

    Attributes:
        images: The images.
        view: How they become the network's input.
        source: Their masks.
        concepts: Some of the concepts of the masks.
    """

    images: ImageSplit = field(repr=False)
    view: View
    source: MaskSource
    concepts: tuple[str, ...]

    def batches(self, rows: Ints, batch_size: int) -> Iterator[MaskedBatch]:
        """Read images that have a mask.

        Args:
            rows: int64 (n,), their positions.
            batch_size: Images a batch.

        Raises:
            PathLensError: If an image or mask cannot be read, or they are not of one size.
        """
        with ThreadPoolExecutor(_THREADS) as pool:
            for positions in in_batches(rows.tolist(), batch_size):
                pictures, planes = zip(*pool.map(self._read, positions), strict=True)
                whole, canvas = np.stack(planes), torch.from_numpy(np.stack(pictures))
                middle = centre(canvas.permute(0, 3, 1, 2), self.view)
                yield MaskedBatch(
                    rows=np.asarray(positions, dtype=np.int64),
                    x=normalise(middle),
                    pictures=middle.permute(0, 2, 3, 1).contiguous().numpy(),
                    labelled=whole[:, 0],
                    concepts=whole[:, 1:],
                )

    def _read(self, position: int) -> tuple[Pixels, Bits]:
        try:
            pixels = self.images.read(position)
        except UnreadableImageError as error:
            raise PathLensError(
                "An image that was recorded can no longer be read: record the images again."
            ) from error
        height, width = pixels.shape[:2]
        planes = self.source.planes(position, self.concepts, (height, width))
        return to_canvas(pixels, self.view.canvas), in_view(planes, self.view)


def in_view(planes: npt.NDArray[np.bool_], view: View) -> Bits:
    """Masks through the geometry of `to_canvas` and `centre`, nearest neighbour.

    Args:
        planes: bool (planes, height, width).
        view: How the image becomes the network's input.

    Returns:
        bool (planes, size, size).
    """
    height, width = planes.shape[1:]
    short = min(height, width)
    rows, columns = (_nearest(length, short, view) for length in (height, width))
    return np.asarray(planes[:, rows[:, None], columns])


def _nearest(length: int, short: int, view: View) -> Ints:
    """Which pixels of one side are seen, int64 (size,)."""
    resized = view.canvas * length // short
    start = round((resized - view.canvas) / 2) + (view.canvas - view.size) // 2
    centres = start + np.arange(view.size) + 0.5
    return np.floor(centres * length / resized).astype(np.int64)
