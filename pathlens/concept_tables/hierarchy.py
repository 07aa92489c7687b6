"""Concepts from a class hierarchy: the superclasses of an image's class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pathlens.concept_tables.images import DataImages, data_images
from pathlens.concept_tables.layout import lay_out, shown
from pathlens.concept_tables.sources import numbers, read_separated
from pathlens.errors import PathLensError, unknown


def build_hierarchy(table: str | Path, *, images: str | Path) -> pd.DataFrame:
    """A concept table from superclasses: 1 for every superclass of the image's class, else 0.

    Args:
        table: A .tsv file (tabs) or any other (commas) with a header; the first column holds the
            names of the class folders, each other column is a superclass with 0 or 1 for each class.
            Classes that the images do not have are not looked at.
        images: The image folder, with a folder for each class.

    Returns:
        Columns image, concept, value, laid out by `layout.lay_out_listed`; every image is named.

    Raises:
        PathLensError: If a file is missing or unreadable, an entry is not 0 or 1, a class has no
            row or two, or the images have no classes.
    """
    source = Path(table).expanduser()
    rows = read_separated(source)
    if len(rows.columns) < 2:
        raise PathLensError(
            f"{source} needs a column of classes and one for every superclass, separated by commas "
            "(tabs in a .tsv file)."
        )
    names, entries = rows.iloc[:, 0], rows.iloc[:, 1:]
    _check_binary(source, names, entries)
    data = data_images(images)
    labels = data.class_labels()
    of_class = numbers(entries, source)[_rows_of(data, names, source)]
    return lay_out(data.ids, [str(name) for name in entries.columns], of_class[labels])


def _check_binary(source: Path, names: pd.Series[str], entries: pd.DataFrame) -> None:
    bad = np.argwhere(~entries.isin(["0", "1"]).to_numpy())
    if len(bad):
        row, column = (int(position) for position in bad[0])
        raise PathLensError(
            f"The class '{names.iloc[row]}' in {source} has '{entries.iat[row, column]!s}' for "
            f"{entries.columns[column]}, which is not 0 or 1: mend it."
        )


def _rows_of(data: DataImages, names: pd.Series[str], source: Path) -> list[int]:
    """The row of every class of the images, in their order."""
    repeated = names[names.duplicated()].tolist()
    if repeated:
        raise PathLensError(f"{source} has two rows for the class '{repeated[0]}': keep one.")
    row = {name: position for position, name in enumerate(names)}
    missing = [name for name in data.classes if name not in row]
    if len(missing) == len(data.classes):
        raise unknown(f"class of {source}, a folder of {data.root}", missing[0], row)
    if missing:
        raise PathLensError(
            f"{source} has no row for {len(missing)} of the {len(data.classes)} classes of "
            f"{data.root} ({shown(missing)}): add them."
        )
    return [row[name] for name in data.classes]
