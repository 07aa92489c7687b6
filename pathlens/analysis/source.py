"""What every analysis reads: a recording, its layers, its classes, a sample of its images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerSpec, LayerTable

Bits = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class PathData(Protocol):
    """The part of a recording that analyses use; any binary code that offers it can be analysed."""

    @property
    def layers(self) -> LayerTable:
        """All layers, in running order."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; empty if unknown."""
        ...

    @property
    def images(self) -> pd.DataFrame:
        """A row an image: `image`, and where known `label`, `prediction`, `group`."""
        ...

    def bits(self, layer: LayerSpec) -> Bits:
        """Gates of one layer: bool (images, filters)."""
        ...

    def concepts(self) -> pd.DataFrame | None:
        """Columns image, concept, value; None if there are none."""
        ...


@dataclass(frozen=True)
class Grouping:
    """Which class each image belongs to.

    Attributes:
        codes: int64 (images,), positions in `names`; -1 where unknown.
        names: Unique class names.
        by: "label" for true classes, "prediction" where labels are unknown.
    """

    codes: Ints
    names: tuple[str, ...]
    by: Literal["label", "prediction"]


def require_images(data: PathData) -> int:
    """Number of images in the recording.

    Raises:
        PathLensError: If there is none.
    """
    images = len(data.images)
    if not images:
        raise PathLensError(
            "The recording holds no images: record some with `pathlens record`, then analyse again."
        )
    return images


def grouping(data: PathData) -> Grouping | None:
    """Classes of the images by true label, else by prediction; None if both are unknown."""
    by: Literal["label", "prediction"]
    for by in ("label", "prediction"):
        if by in data.images:
            codes = data.images[by].fillna(-1).to_numpy(dtype=np.int64)
            if (codes >= 0).any():
                return Grouping(codes, _class_names(data.classes, int(codes.max()) + 1), by)
    return None


def _class_names(classes: Sequence[str], needed: int) -> tuple[str, ...]:
    """Unique names (ImageNet has two classes called crane) for at least `needed` classes."""
    names = [*classes, *(f"class {i}" for i in range(len(classes), needed))]
    times = Counter(names)
    return tuple(f"{x} #{i}" if times[x] > 1 else x for i, x in enumerate(names))


def codes_of(data: PathData, column: str, rows: Ints) -> Ints:
    """Label or prediction of the images at `rows`: int64, -1 where unknown."""
    if column not in data.images:
        return np.full(len(rows), -1, dtype=np.int64)
    return data.images[column].fillna(-1).to_numpy(dtype=np.int64)[rows]


def describe_layers(data: PathData, layers: Sequence[Layer]) -> str:
    """How titles and sentences call a choice of layers."""
    if len(layers) == 1:
        return f"layer {layers[0].index} ({layers[0].name})"
    if len(layers) == len(data.layers):
        return f"the whole network ({len(layers)} layers)"
    return f"{len(layers)} layers ({layers[0].name} to {layers[-1].name})"


def choose_layers(data: PathData, layer: LayerSpec | None) -> list[Layer]:
    """The layers that a number, name or glob picks; all for None.

    Raises:
        PathLensError: If there is no such layer, or none at all.
    """
    if not len(data.layers):
        raise PathLensError(
            "The recording has no layers: decouple a network with at least two convolutions "
            "and record it again."
        )
    return data.layers.select(None if layer is None else [layer])


def choose_several(data: PathData, layers: Iterable[LayerSpec] | None) -> list[Layer]:
    """The layers that any of several numbers, names or globs picks; all for None.

    Raises:
        PathLensError: If there is no such layer, none was asked for, or there is none at all.
    """
    chosen = choose_layers(data, None)
    if layers is not None:
        chosen = data.layers.select(layers)
    if not chosen:
        raise PathLensError("No layer was chosen: name at least one, or give None for all.")
    return chosen


def gather_bits(data: PathData, layers: Sequence[Layer], rows: Ints) -> Bits:
    """Gates of some images in some layers, side by side: bool (rows, filters).

    Layers are read one by one, so that memory holds one whole layer at most.
    """
    return np.concatenate([data.bits(layer.name)[rows] for layer in layers], axis=1)


def dynamic_columns(bits: Bits) -> Bits:
    """Which filters are on for some of the images but not for all: bool (filters,)."""
    on = bits.sum(axis=0, dtype=np.int64)
    return np.asarray((on > 0) & (on < len(bits)))


def sample_rows(images: int, max_images: int, seed: int) -> tuple[Ints, str]:
    """Positions of at most `max_images` images in ascending order, and what that leaves out.

    Raises:
        PathLensError: If `max_images` is below 1.
    """
    if max_images < 1:
        raise PathLensError(f"max_images is {max_images}: give at least 1.")
    if images <= max_images:
        return np.arange(images, dtype=np.int64), ""
    chosen = np.random.default_rng(seed).choice(images, size=max_images, replace=False)
    return (
        np.sort(chosen).astype(np.int64),
        f"{images - max_images:,} of {images:,} images, by seed",
    )


def hamming_counts(bits: Bits, others: Bits | None = None) -> npt.NDArray[np.float32]:
    """Number of filters in which two paths differ: float32 (paths, other paths), whole numbers.

    For 0/1 rows |a - b| = a + b - 2ab, so that one matrix product does it.
    """
    left = bits.astype(np.float32)
    right = left if others is None else others.astype(np.float32)
    counts = left.sum(axis=1)[:, None] + right.sum(axis=1)[None, :] - 2 * (left @ right.T)
    return np.asarray(counts, dtype=np.float32)
