"""Concepts from masks: the share of an image's pixels that are of each class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from pathlens.concept_tables.images import DataImages, data_images, no_match, picture_size
from pathlens.concept_tables.layout import Ints, lay_out, shown, tell
from pathlens.concept_tables.mask_classes import MaskClasses, read_mask_classes
from pathlens.datasets.image_files import find_images
from pathlens.errors import PathLensError

MASK_SUFFIXES = frozenset({".png", ".bmp", ".gif", ".tif", ".tiff"})
"""Formats that keep every pixel as it was; a JPEG has no class numbers left."""

_MANY = 1 << 16


def build_masks(
    folder: str | Path,
    *,
    images: str | Path,
    classes: str | Path,
    void: Sequence[str] | None = None,
    share_of: Literal["image", "labelled"] = "image",
    ending: str = "",
) -> pd.DataFrame:
    """A concept table from a folder of masks: value = share of pixels of the class.

    The mask of `images/a/b.jpg` is `folder/a/b.png` (or another lossless format), of the size of
    the image; its pixels are class numbers, or colours where `classes` has colours. Unlabelled
    pixels are no concept; by default they count as pixels of the image. Images without a mask, or
    with `share_of="labelled"` without a labelled pixel, stay unknown: the table does not name them.

    Args:
        folder: The masks.
        images: The image folder; ids are those that `pathlens record` gives its images.
        classes: File with a line `number name` or `red green blue name` for every class.
        void: Unlabelled classes: names, numbers or colours "red,green,blue"; None: those called
            void, unlabelled, unlabeled or ignore.
        share_of: What shares are of: all pixels of the image, or its labelled ones.
        ending: What the names of masks have more than those of images: "_L" for `b_L.png`.

    Returns:
        Columns image, concept, value, laid out by `layout.lay_out_listed`.

    Warns:
        UserWarning: With the number of images without a mask, and of masks without an image.

    Raises:
        PathLensError: If a file is missing or unreadable, a mask is not of the size of its image,
            has a class that is not named, or could belong to two images.
    """
    if share_of not in ("image", "labelled"):
        raise PathLensError(f"Shares are of 'image' or 'labelled' pixels, not of '{share_of}'.")
    named = read_mask_classes(classes, void)
    data = data_images(images)
    pairs = _pair(data, Path(folder).expanduser(), ending)
    counts = np.stack([_counts(data.root / image, mask, named) for image, mask in pairs.items()])
    pixels = counts.sum(axis=1) if share_of == "image" else counts[:, 1:].sum(axis=1)
    known = pixels > 0
    ids = [image for image, here in zip(pairs, known.tolist(), strict=True) if here]
    tell(sorted(set(pairs) - set(ids)), "images have no labelled pixel and stay unknown")
    if not known.any():
        raise PathLensError(
            f"No mask in {folder} has a labelled pixel: check the unlabelled classes."
        )
    shares = counts[known, 1:] / pixels[known, None]
    return lay_out(ids, named.names, shares)


def _pair(data: DataImages, folder: Path, ending: str) -> dict[str, Path]:
    """The mask of every image that has one."""
    if not folder.is_dir():
        raise PathLensError(f"There is no folder of masks {folder}: check its name.")
    names = [n for n in find_images(folder) if PurePosixPath(n).suffix.lower() in MASK_SUFFIXES]
    if not names:
        raise PathLensError(f"{folder} holds no masks ({shown(sorted(MASK_SUFFIXES), 9)}).")
    pairs = pair_by_stem(data.ids, names, ending)
    if not pairs:
        raise no_match(f"The folder of masks {folder}", f"masks like {names[0]}", data)
    tell([x for x in data.ids if x not in pairs], "images have no mask and stay unknown")
    used = set(pairs.values())
    strangers = [x for x in by_stem(names, ending).values() if used.isdisjoint(x)]
    tell([x[0] for x in strangers], "masks have no image and are left out")
    return {image: folder / mask for image, mask in pairs.items()}


def pair_by_stem(images: Sequence[str], masks: Sequence[str], ending: str = "") -> dict[str, str]:
    """The mask of every image that has one, both by name.

    Args:
        images: Names of images, relative to their folder.
        masks: Names of masks, relative to theirs.
        ending: What the names of masks have more than those of images.

    Raises:
        PathLensError: If two images would share a mask, or two masks an image.
    """
    found, pictures = by_stem(masks, ending), by_stem(images)
    both = [stem for stem in pictures if stem in found]
    for stem in both:
        rivals = pictures[stem] if len(pictures[stem]) > 1 else found[stem]
        if len(rivals) > 1:
            raise PathLensError(
                f"Which mask belongs to which image is not clear: {shown(rivals)} differ only in "
                "what follows the last dot; rename or remove one."
            )
    return {pictures[stem][0]: found[stem][0] for stem in both}


def by_stem(names: Iterable[str], ending: str = "") -> dict[str, list[str]]:
    """Names by their path without suffix and `ending`; those without the ending are left out."""
    found = defaultdict(list)
    for name in names:
        stem = str(PurePosixPath(name).with_suffix(""))
        if stem.endswith(ending):
            found[stem.removesuffix(ending)].append(name)
    return found


def _counts(image: Path, mask: Path, classes: MaskClasses) -> Ints:
    """Number of unlabelled pixels, then of pixels of every class: int64 (1 + classes,)."""
    pixels = codes_of(mask, classes)
    expected = picture_size(image)
    if pixels.shape != expected:
        raise PathLensError(
            f"The mask {mask} is {pixels.shape[1]} x {pixels.shape[0]} pixels, but its image "
            f"{image} is {expected[1]} x {expected[0]}: give masks of the size of the images."
        )
    codes, numbers = _tally(pixels)
    known = np.concatenate([classes.codes, classes.void])
    strange = np.flatnonzero(~np.isin(codes, known))
    if len(strange):
        code = classes.spell(int(codes[strange[0]]))
        raise PathLensError(
            f"The mask {mask} has {numbers[strange[0]]:,} pixels of class {code}, which "
            f"{classes.source} does not name: add it there, or give `--void {code}` if they are "
            "unlabelled."
        )
    of = dict(zip(codes.tolist(), numbers.tolist(), strict=True))
    unlabelled = sum(of.get(code, 0) for code in classes.void.tolist())
    return np.array([unlabelled, *(of.get(code, 0) for code in classes.codes.tolist())])


def _tally(pixels: Ints) -> tuple[Ints, Ints]:
    """The codes of a mask and how many pixels have each; counting small numbers beats sorting."""
    if pixels.max() >= _MANY:
        codes, numbers = np.unique(pixels, return_counts=True)
        return codes, numbers.astype(np.int64)
    every = np.bincount(pixels.ravel()).astype(np.int64)
    codes = np.flatnonzero(every).astype(np.int64)
    return codes, every[codes]


def codes_of(path: Path, classes: MaskClasses) -> Ints:
    """The mask's class numbers, or colours as one number: int (height, width)."""
    try:
        with Image.open(path) as opened:
            mask = ImageOps.exif_transpose(opened)
            pixels = np.asarray(mask.convert("RGB") if classes.coloured else mask)
    # decoders of damaged files raise whatever they trip over, not only OSError
    except Exception as error:
        reason = " ".join((str(error) or type(error).__name__).split())
        raise PathLensError(f"The mask {path} cannot be read ({reason}): mend it.") from error
    if classes.coloured:
        red, green, blue = (pixels[..., channel].astype(np.int64) for channel in range(3))
        return red << 16 | green << 8 | blue
    if pixels.ndim != 2 or pixels.dtype.kind not in "bui":
        raise PathLensError(
            f"The mask {path} has colours (mode {mask.mode}), not class numbers: give a file of "
            "classes with lines 'red green blue name'."
        )
    return pixels.astype(np.int64)
