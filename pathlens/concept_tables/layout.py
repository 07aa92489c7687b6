"""From values to rows: how a concept table is laid out."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.errors import PathLensError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def lay_out(images: Sequence[str], concepts: Sequence[str], values: Floats) -> pd.DataFrame:
    """A concept table of a whole matrix of values.

    Args:
        images: Image ids.
        concepts: Names of the concepts.
        values: (images, concepts), from 0 to 1.

    Returns:
        As `lay_out_listed`.

    Raises:
        PathLensError: As `lay_out_listed`.
    """
    rows, columns = np.nonzero(values)
    return lay_out_listed(images, concepts, rows, columns, values[rows, columns])


def lay_out_listed(
    images: Sequence[str],
    concepts: Sequence[str],
    rows: Ints,
    columns: Ints,
    values: Floats,
) -> pd.DataFrame:
    """A concept table of the values that are not 0.

    A named image lacks what is not listed, so zeros have no row: a table of many concepts stays
    small. An image without any concept has one row with an empty concept; a concept that no image
    has has one row of value 0, so that it is not forgotten.

    Args:
        images: Image ids, all of which the table shall name.
        concepts: Names of the concepts.
        rows: int64 (values,), positions in `images`.
        columns: int64 (values,), positions in `concepts`.
        values: (values,), above 0 and up to 1.

    Returns:
        Columns image, concept, value; sorted by image and concept.

    Raises:
        PathLensError: If the name of an image or concept cannot stand in a concept table.
    """
    _check_names(images, concepts)
    missing = np.setdiff1d(np.arange(len(concepts)), columns)
    rows = np.concatenate([rows, np.zeros_like(missing)])
    columns = np.concatenate([columns, missing])
    bare = np.setdiff1d(np.arange(len(images)), rows)
    rows = np.concatenate([rows, bare])
    columns = np.concatenate([columns, np.full_like(bare, len(concepts))])
    table = pd.DataFrame(
        {
            "image": np.asarray(images, dtype=object)[rows],
            "concept": np.asarray([*concepts, ""], dtype=object)[columns],
            "value": np.concatenate([values, np.zeros(len(rows) - len(values))]),
        }
    ).astype({"image": str, "concept": str})
    return table.sort_values(["image", "concept"], ignore_index=True)


def _check_names(images: Sequence[str], concepts: Sequence[str]) -> None:
    """Refuse names that would not be the same when the table is read."""
    for kind, names in (("image", images), ("concept", concepts)):
        padded = next((name for name in names if name != name.strip() or not name), None)
        if padded is not None:
            raise PathLensError(
                f"The name of the {kind} {padded!r} begins or ends with a space or is empty, which "
                "a concept table cannot hold: rename it."
            )
        repeated = [name for name, times in Counter(names).items() if times > 1]
        if repeated:
            raise PathLensError(
                f"Two {kind}s are called '{repeated[0]}': give each {kind} a name of its own."
            )


def shown(names: Sequence[Any], limit: int = 3) -> str:
    """The first names of many, for a sentence."""
    first = ", ".join(str(name) for name in names[:limit])
    return f"{first}, ..." if len(names) > limit else first


def tell(names: Sequence[str], what: str) -> None:
    """Warn of names that are left out: how many, `what` they are, and the first of them."""
    if names:
        warnings.warn(f"{len(names):,} {what} ({shown(names)}).", stacklevel=4)
