"""Concept files: which images have which concepts; read, written and laid out as a matrix.

A concept file is a table, CSV with a header or Parquet (a name that ends in .parquet), with the
columns image, concept and, if wanted, value: how far the image has the concept, from 0 to 1, by
default 1. An image that the file names lacks the concepts that it does not list; an empty concept
names an image that has none; an image that the file does not name is unknown and left out of
everything that is said about concepts.

The functions that build such tables, `build_masks`, `build_boxes`, `build_hierarchy`,
`build_attributes` and `build_counts`, can be had from here as well; they live in
`pathlens.concept_tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.errors import PathLensError
from pathlens.files import write_bytes

_REQUIRED = ["image", "concept"]
_COLUMNS = [*_REQUIRED, "value"]
_PARQUET = ".parquet"


def __getattr__(name: str) -> Any:
    # A door only: reading concepts loads none of what building them needs.
    source = name.removeprefix("build_")
    if source != name:
        from pathlens.concept_tables.registry import SOURCES, builder

        if source in SOURCES:
            return builder(source)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def read_concepts(path: str | Path) -> pd.DataFrame:
    """Read a concept file.

    Args:
        path: The CSV file, UTF-8, or the Parquet file.

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


def write_concepts(path: str | Path, concepts: pd.DataFrame) -> None:
    """Write a concept file, whole or not at all; `read_concepts` gives back the same values.

    Args:
        path: Where to: a name that ends in .csv or .parquet.
        concepts: Columns image, concept, value.

    Raises:
        PathLensError: If the name ends otherwise, the disk is full or the folder may not be written.
    """
    target = Path(path)
    check_suffix(target)
    table = concepts[_COLUMNS]
    if target.suffix.lower() == _PARQUET:
        buffer = BytesIO()
        table.to_parquet(buffer, index=False)
        write_bytes(target, buffer.getvalue())
    else:
        write_bytes(target, table.to_csv(index=False, lineterminator="\n").encode())


def check_suffix(path: Path) -> None:
    """Refuse a name under which no concept file can be written.

    Raises:
        PathLensError: If it ends neither in .csv nor in .parquet.
    """
    if path.suffix.lower() not in (".csv", _PARQUET):
        raise PathLensError(
            f"A concept file is CSV or Parquet: let the name of {path} end in .csv or .parquet."
        )


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


def unknown_images(concepts: pd.DataFrame, images: Sequence[str]) -> list[str]:
    """Images that a concept table names and that are not among those given.

    Args:
        concepts: Columns image, concept, value, as `read_concepts` returns them.
        images: Image ids, for example those of a recording.

    Returns:
        Their ids, each once, in the order of the table.
    """
    named = pd.Index(concepts["image"]).unique()
    return [str(image) for image in named[~named.isin(list(images))]]


def _read_table(source: Path) -> pd.DataFrame:
    parquet = source.suffix.lower() == _PARQUET
    try:
        table = _read_parquet(source) if parquet else _read_csv(source)
    except FileNotFoundError as error:
        raise PathLensError(f"There is no concept file {source}.") from error
    except pd.errors.EmptyDataError as error:
        raise _empty(source) from error
    except (ValueError, OSError) as error:  # those of pandas and Arrow are ValueErrors
        reason = " ".join(str(error).split())
        form = "Parquet" if parquet else "a CSV table in UTF-8"
        raise PathLensError(
            f"The concept file {source} cannot be read as {form} ({reason})."
        ) from error
    return table.rename(columns=lambda name: str(name).strip())


def _read_csv(source: Path) -> pd.DataFrame:
    return pd.read_csv(source, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _read_parquet(source: Path) -> pd.DataFrame:
    """The table as from a CSV file: names as text, nothing where there is none."""
    table = pd.read_parquet(source)
    texts = [column for column in table.columns if column != "value"]
    return table.astype(dict.fromkeys(texts, str)).where(table.notna(), "")


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
