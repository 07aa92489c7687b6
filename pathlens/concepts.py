"""Concept files: which images have which concepts, read and laid out as a matrix.

A concept file is a CSV table with a header and the columns image, concept and, if wanted, value:
how far the image has the concept, from 0 to 1, by default 1. An image that the file names lacks the
concepts that it does not list; an empty concept names an image that has none; an image that the
file does not name is unknown and left out of everything that is said about concepts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.errors import PathLensError

_REQUIRED = ["image", "concept"]
_COLUMNS = [*_REQUIRED, "value"]


def read_concepts(path: str | Path) -> pd.DataFrame:
    """Read a concept file.

    Args:
        path: The CSV file, UTF-8.

    Returns:
        Columns image (str), concept (str; empty: the image has none) and value (float, 0 to 1), a
        row for every row of the file, in its order.

    Raises:
        PathLensError: If the file is missing, empty or no such table, a value is not a number from
            0 to 1, or an image names a concept twice.
    """
    source = Path(path)
    table = _read_table(source)
    table = _checked_columns(source, table)
    for column in _REQUIRED:
        table[column] = table[column].str.strip()
    _refuse(source, table["image"] == "", table, "names no image: fill the column 'image'")
    repeated = table.duplicated(_REQUIRED)
    _refuse(source, repeated, table, "repeats an image and concept: keep one of the two rows")
    return table.assign(value=_values(source, table))


def concept_matrix(
    concepts: pd.DataFrame, images: Sequence[str]
) -> tuple[pd.DataFrame, npt.NDArray[np.bool_]]:
    """Lay concepts out beside images.

    Args:
        concepts: Columns image, concept, value, as `read_concepts` returns them.
        images: Unique image ids, for example those of a recording.

    Returns:
        The matrix and which of its rows are known. The matrix is float64 (images, concepts), from 0
        to 1, its index the image ids in the order given, its columns every concept in `concepts`,
        sorted; the rows of images that `concepts` does not name are NaN. `known` is bool (images,):
        whether `concepts` names the image, so that `matrix[known]` is what can be worked with.

    Raises:
        PathLensError: If `concepts` names none of the images.
        ValueError: If `images` has repeated ids.
    """
    index = pd.Index(list(images))
    if not index.is_unique:
        raise ValueError("image ids are repeated")
    rows = index.get_indexer(pd.Index(concepts["image"]))
    known = np.zeros(len(index), dtype=bool)
    known[rows[rows >= 0]] = True
    if not known.any():
        raise _no_match(concepts, images)
    names = sorted(set(concepts["concept"]) - {""})
    columns = pd.Index(names).get_indexer(pd.Index(concepts["concept"]))
    values = np.full((len(index), len(names)), np.nan)
    values[known] = 0.0
    listed = (rows >= 0) & (columns >= 0)
    values[rows[listed], columns[listed]] = concepts["value"].to_numpy(dtype=float)[listed]
    return pd.DataFrame(values, index=index, columns=names), known


def _read_table(source: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(source, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise PathLensError(f"There is no concept file {source}.") from error
    except pd.errors.EmptyDataError as error:
        raise _empty(source) from error
    except (pd.errors.ParserError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise PathLensError(
            f"The concept file {source} cannot be read as a CSV table in UTF-8 ({reason})."
        ) from error
    return table.rename(columns=lambda name: name.strip())


def _checked_columns(source: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The table with exactly the columns image, concept, value."""
    missing = [column for column in _REQUIRED if column not in table.columns]
    strange = [column for column in table.columns if column not in _COLUMNS]
    if missing or strange:
        found = ", ".join(str(column) for column in table.columns)
        raise PathLensError(
            f"The concept file {source} has to begin with the header image,concept or "
            f"image,concept,value, but its first line is: {found}."
        )
    if table.empty:
        raise _empty(source)
    return table if "value" in table.columns else table.assign(value="1")


def _values(source: Path, table: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Values as numbers; that of a row without a concept means nothing and becomes 0."""
    numbers = pd.to_numeric(table["value"], errors="coerce").astype(float)
    numbers = numbers.mask(table["concept"] == "", 0.0)
    bad = ~numbers.between(0, 1)
    _refuse(source, bad, table, "has a value that is not a number from 0 to 1: mend it")
    return np.asarray(numbers, dtype=np.float64)


def _refuse(source: Path, bad: pd.Series[bool], table: pd.DataFrame, complaint: str) -> None:
    """Raise for the first of the rows that are bad, if any."""
    if not bad.any():
        return
    position = int(np.flatnonzero(bad.to_numpy())[0])
    row = ",".join(str(entry) for entry in table.iloc[position])
    more = int(bad.sum()) - 1
    also = f" (and {more} more rows)" if more else ""
    raise PathLensError(
        f"Row {position + 1} below the header of the concept file {source}, '{row}'{also}, "
        f"{complaint}."
    )


def _empty(source: Path) -> PathLensError:
    return PathLensError(
        f"The concept file {source} is empty: it needs the header image,concept[,value] and a row "
        "for every concept of an image."
    )


def _no_match(concepts: pd.DataFrame, images: Sequence[str]) -> PathLensError:
    if not len(images):
        return PathLensError("There are no images to find concepts for.")
    named = concepts["image"].iloc[0] if len(concepts) else None
    theirs = "it names no image at all" if named is None else f"it names images like '{named}'"
    return PathLensError(
        f"The concept file matches none of the {len(images)} images: {theirs}, the images are "
        f"called like '{images[0]}'."
    )
