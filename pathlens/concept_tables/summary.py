"""What is in a concept table, and whether it speaks of the images of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pathlens.analysis.results import plural
from pathlens.concept_tables.layout import Floats, shown
from pathlens.errors import PathLensError

FEW = 10
"""Images with a concept below which little can be tested: 5 in each half of the images."""


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Count the images of every concept of a concept table.

    Args:
        table: Columns image, concept, value.

    Returns:
        A row a concept, sorted by name, with the columns concept, images (with a value above 0),
        share (of the named images), median (of the values above 0; NaN if there is none), on (images
        that have it where associations are searched: values that are all 0 or 1 as they are, others
        above the median of those above 0) and note ("rare" if fewer than `FEW` images are on or
        fewer than that are not; "never on" or "always on").
    """
    images = table["image"].nunique()
    named = table[table["concept"] != ""]
    rows = [
        _row(str(concept), values.to_numpy(dtype=np.float64), images)
        for concept, values in named.groupby("concept")["value"]
    ]
    columns = ["concept", "images", "share", "median", "on", "note"]
    return pd.DataFrame(rows, columns=columns)


def _row(concept: str, values: Floats, images: int) -> tuple[str, int, float, float, int, str]:
    positive = values[values > 0]
    median = float(np.median(positive)) if len(positive) else float("nan")
    cut = 0.0 if np.isin(positive, 1.0).all() else median
    on = int((positive > cut).sum())
    return concept, len(positive), len(positive) / images, median, on, _note(on, images)


def _note(on: int, images: int) -> str:
    if on == 0:
        return "never on"
    if on == images:
        return "always on"
    return "rare" if min(on, images - on) < FEW else ""


@dataclass(frozen=True)
class Coverage:
    """How a concept table and the images of a recording fit.

    Attributes:
        images: Number of images of the recording.
        named: Number of them that the table names.
        unnamed: Those that it does not name.
        strangers: Images of the table that the recording does not hold.
    """

    images: int
    named: int
    unnamed: tuple[str, ...]
    strangers: tuple[str, ...]

    def summary(self) -> str:
        """The figures in words."""
        images = plural(self.images, "image")
        lines = [f"{self.named:,} of its {images} named ({self.named / self.images:.1%})"]
        if self.unnamed:
            lines.append(f"{len(self.unnamed):,} of its images not named ({shown(self.unnamed)})")
        if self.strangers:
            others = plural(len(self.strangers), "image")
            lines.append(f"{others} named that it does not hold ({shown(self.strangers)})")
        return "; ".join(lines)


def coverage(table: pd.DataFrame, images: Sequence[str]) -> Coverage:
    """Compare the images that a concept table names with those of a recording.

    Args:
        table: Columns image, concept, value.
        images: Ids of the images of the recording.

    Raises:
        PathLensError: If the table names none of them.
    """
    named = set(table["image"])
    unnamed = tuple(image for image in images if image not in named)
    if len(unnamed) == len(images):
        raise PathLensError(
            f"The concepts name none of the {len(images):,} images of the recording: they name "
            f"images like {min(named, default='')}, the recording's are called like "
            f"{shown(images, 1).removesuffix(', ...')}; give the folder that was recorded as "
            "`--images`."
        )
    return Coverage(
        images=len(images),
        named=len(images) - len(unnamed),
        unnamed=unnamed,
        strangers=tuple(sorted(named - set(images))),
    )
