"""The nouns of the datasets room: a split (images that can be read one by one) and a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.errors import PathLensError, unknown

Pixels = npt.NDArray[np.uint8]
"""One image: uint8 (height, width, 3), RGB."""


Mask = npt.NDArray[np.bool_]
"""The pixels of one concept in one image: bool (height, width)."""


class UnreadableImageError(Exception):
    """An image that cannot be decoded; whoever reads it lists it and goes on."""


@dataclass(frozen=True)
class ImageSplit:
    """The images of one split, in a stable order.

    Attributes:
        name: "train", "validation", "test" or "all" (a flat folder without labels).
        ids: Unique and stable image ids: the path relative to the data root, or "split/index".
        labels: int64 (images,), positions in `classes`; None where the images have no labels.
        classes: Class names; empty where the images have no labels.
        read: Reads the image at a position: uint8 (height, width, 3); raises `UnreadableImageError`.
        concepts: Columns image, concept, value (1 = the image has it), as in a concept file; an
            image of the split that has none is named with an empty concept. None if unknown.
        masks: Gives, for the image at a position, the mask of every concept that is to be seen in
            it: concept -> bool (height, width). None if unknown.
    """

    name: str
    ids: tuple[str, ...]
    labels: npt.NDArray[np.int64] | None
    classes: tuple[str, ...]
    read: Callable[[int], Pixels] = field(repr=False)
    concepts: pd.DataFrame | None = field(default=None, repr=False)
    masks: Callable[[int], dict[str, Mask]] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def subset(
        self, positions: Sequence[int] | npt.NDArray[np.int64], name: str = ""
    ) -> ImageSplit:
        """The images at `positions`, in that order."""
        chosen = np.asarray(positions, dtype=np.int64)
        read, masks = self.read, self.masks
        ids = tuple(self.ids[i] for i in chosen)
        concepts = self.concepts
        if concepts is not None:
            concepts = concepts[concepts["image"].isin(set(ids))].reset_index(drop=True)
        return replace(
            self,
            name=name or self.name,
            ids=ids,
            labels=None if self.labels is None else self.labels[chosen],
            read=lambda position: read(int(chosen[position])),
            concepts=concepts,
            masks=None if masks is None else lambda position: masks(int(chosen[position])),
        )


@dataclass(frozen=True)
class Dataset:
    """A named set of splits.

    Attributes:
        name: The name or path it was loaded by.
        splits: "train", "validation" (taken from the training images by seed) and "test" where the
            images have labels; "all" for a flat folder.
        classes: Class names; empty for a flat folder.
        native_size: Height and width that images of the set share, in pixels; None where they differ.
        mirrored: Whether a mirrored image keeps its class, so that training may mirror.
    """

    name: str
    splits: Mapping[str, ImageSplit]
    classes: tuple[str, ...]
    native_size: int | None = None
    mirrored: bool = True

    def split(self, name: str) -> ImageSplit:
        """The split called `name`.

        Raises:
            PathLensError: If there is none; "all" is the only split of images without labels.
        """
        if name in self.splits:
            return self.splits[name]
        if set(self.splits) == {"all"}:
            raise PathLensError(
                f"'{self.name}' is a flat folder without labels and has no '{name}' split: it can be "
                "recorded (`--split all`), not trained on."
            )
        raise unknown(f"split of '{self.name}'", name, self.splits)
