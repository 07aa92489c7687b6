"""Concepts from attributes of classes, in matrices as those of Animals with Attributes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pathlens.concept_tables.images import DataImages, data_images
from pathlens.concept_tables.layout import Floats, Ints, lay_out, shown, tell
from pathlens.concept_tables.sources import read_matrix, read_names
from pathlens.errors import PathLensError

MISSING = -1.0
"""What stands in a matrix where nobody knows the attribute of the class."""


def build_attributes(
    matrix: str | Path,
    *,
    images: str | Path,
    classes: str | Path,
    attributes: str | Path,
    scale: float = 1.0,
) -> pd.DataFrame:
    """A concept table from a matrix of classes and attributes, as in Xian et al. (2019), AwA2.

    Every image has the attributes of its class. A class folder and a class of the table are the same
    if their names are, upper and lower case and the signs "+", "-", "_" and space being equal.
    Images of classes that the table lacks stay unknown: the concept table does not name them.

    Args:
        matrix: (classes, attributes): numbers with spaces or commas between them, or a .npy file;
            0 and 1, or degrees from 0 to `scale`; -1 where unknown.
        images: The image folder, with a folder for each class.
        classes: Names of the rows, one a line, with or without number.
        attributes: Names of the columns, likewise.
        scale: The number that means: has it fully. 100 for percentages.

    Returns:
        Columns image, concept, value, laid out by `layout.lay_out_listed`.

    Warns:
        UserWarning: With the classes that the table lacks, and the attributes that are left out
            because they are unknown for a class that the images have.

    Raises:
        PathLensError: If a file is missing or unreadable, the matrix has another shape or numbers
            that are no degrees, two classes have the same name, or no class is in the table.
    """
    source = Path(matrix).expanduser()
    rows, columns = read_names(classes), read_names(attributes)
    degrees = _degrees(source, len(rows), len(columns), scale)
    data = data_images(images)
    labels = data.class_labels()
    row = _rows_of(data, rows, str(classes))
    here = row[labels] >= 0
    unknown = set(np.nonzero(np.isnan(degrees[row[row >= 0]]))[1].tolist())
    tell(
        [columns[at] for at in sorted(unknown)],
        "attributes are unknown for a class of the images and left out",
    )
    kept = [at for at in range(len(columns)) if at not in unknown]
    ids = [image for image, known in zip(data.ids, here, strict=True) if known]
    return lay_out(ids, [columns[at] for at in kept], degrees[row[labels[here]]][:, kept])


def _degrees(source: Path, rows: int, columns: int, scale: float) -> Floats:
    """The matrix from 0 to 1, NaN where unknown."""
    if not 0 < scale < float("inf"):
        raise PathLensError(f"The scale {scale:g} is no positive number: give what means 'fully'.")
    values = read_matrix(source)
    if values.shape != (rows, columns):
        raise PathLensError(
            f"The matrix {source} is {values.shape[0]} x {values.shape[1]}, but there are {rows} "
            f"classes and {columns} attributes: give the files that belong together."
        )
    values = np.where(values == MISSING, np.nan, values / scale)
    if np.nanmin(values, initial=0) < 0 or np.nanmax(values, initial=0) > 1:
        low, high = np.nanmin(values) * scale, np.nanmax(values) * scale
        raise PathLensError(
            f"The matrix {source} has numbers from {low:g} to {high:g}, not from 0 to {scale:g}: "
            "give the largest possible number as `--scale` (100 for percentages)."
        )
    return values


def _rows_of(data: DataImages, names: Sequence[str], source: str) -> Ints:
    """The row of every class of the images, -1 where there is none."""
    row: dict[str, int] = {}
    for position, name in enumerate(names):
        if row.setdefault(_plain(name), position) != position:
            raise PathLensError(f"{source} names the class '{name}' twice: keep one.")
    found = np.array([row.get(_plain(name), -1) for name in data.classes], dtype=np.int64)
    missing = [name for name, at in zip(data.classes, found, strict=True) if at < 0]
    if len(missing) == len(data.classes):
        raise PathLensError(
            f"{source} has none of the {len(missing)} classes of {data.root} ({shown(missing)}); its "
            f"own are called like {shown(names)}."
        )
    tell(
        missing,
        f"of {len(data.classes)} classes are not in {source}, and their images stay unknown",
    )
    taken = found[found >= 0]
    if len(np.unique(taken)) < len(taken):
        raise PathLensError(
            f"Two class folders of {data.root} are one class of {source}: join them."
        )
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\s+_-]+", " ", name.casefold()).strip()
