"""A superclass as attribute: what a table says of the class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pathlens.datasets.base import ImageSplit
from pathlens.decoupling.losses.mutual_information import UNKNOWN
from pathlens.errors import PathLensError, unknown
from pathlens.training.attributes.base import AttributeValues, checked


@dataclass(frozen=True)
class SuperclassAttribute:
    """A column of a table with a row for every class, or all its columns together.

    The table has a header; its first column holds the names of the classes. The others hold names of
    superclasses, or 0 and 1 for each of several superclasses that may contain one another. Without a
    column named, classes have the same value if they have the same entries in all columns; a class
    without any entry is unknown.

    Attributes:
        table: A `.tsv` file (tabs), or any other name (commas); UTF-8.
        column: Header of the column, or what follows a colon in it; "" for all columns together.
    """

    table: str
    column: str = ""

    def of(self, split: ImageSplit) -> AttributeValues:
        """The superclass of every image's class.

        Raises:
            PathLensError: If the table cannot be read, lacks a class or the column, or puts all
                classes together.
        """
        assert split.labels is not None  # only labelled splits are trained on
        entries = self._entries(split)
        known = sorted({row for row in entries if any(row)})
        position = {row: i for i, row in enumerate(known)}
        by_class = np.array([position.get(row, UNKNOWN) for row in entries], dtype=np.int64)
        found = AttributeValues(by_class[split.labels], len(known))
        return checked(found, f"The superclass in {self.table}")

    def _entries(self, split: ImageSplit) -> list[tuple[str, ...]]:
        """What the table says of each class of the split, in their order."""
        table = self._read()
        missing = [name for name in split.classes if name not in table.index]
        if missing:
            raise PathLensError(
                f"{self.table} has no row for class '{missing[0]}' ({len(missing)} of "
                f"{len(split.classes)} classes are missing): its first column must name every class."
            )
        rows = table.loc[list(split.classes), self._columns(table)]
        return [tuple(str(entry).strip() for entry in row) for row in rows.to_numpy()]

    def _read(self) -> pd.DataFrame:
        separator = "\t" if Path(self.table).suffix == ".tsv" else ","
        try:
            table = pd.read_csv(
                self.table, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
            )
        except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
            reason = " ".join(str(error).split())
            raise PathLensError(
                f"The table of superclasses {self.table} cannot be read: {reason}."
            ) from error
        table = table.set_index(table.columns[0])
        if not len(table.columns) or not table.index.is_unique:
            raise PathLensError(
                f"{self.table} must have a header, a first column that names every class once, and "
                "at least one column more, separated by commas (tabs in a .tsv file)."
            )
        return table

    def _columns(self, table: pd.DataFrame) -> list[str]:
        columns = [str(name) for name in table.columns]
        if not self.column:
            return columns
        for name in columns:
            if self.column in (name, name.rpartition(":")[2]):
                return [name]
        raise unknown(f"column of {self.table}", self.column, columns)
