"""Which rows of a study are not in its table yet."""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Listed:
    """The rows that a study lists, and the table in which each should stand.

    Attributes:
        file: The list, TOML, in the folder of the study.
        key: Of the array of tables in it, each with a "name".
        table: CSV in the folder of the study.
        column: In which the table names its rows.
    """

    file: str
    key: str
    table: str
    column: str

    def names(self, folder: Path) -> list[str]:
        """The rows that are listed."""
        return [
            row["name"] for row in tomllib.loads((folder / self.file).read_text("utf-8"))[self.key]
        ]

    def absent(self, folder: Path) -> list[str]:
        """Listed rows that are not in the table, or of which a column `reason` says "yet" there."""
        with (folder / self.table).open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        waiting = {row[self.column] for row in rows if " yet" in row.get("reason", "")}
        there = {row[self.column] for row in rows} - waiting
        return [name for name in self.names(folder) if name not in there]
