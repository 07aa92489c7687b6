"""The tables of a report: one CSV a question, in columns that stay the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pathlens.reporting.collect import Findings
from pathlens.reporting.sections import SECTIONS

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {name: columns for section in SECTIONS for name, columns in section.columns.items()}
"""Columns of every table; a column that a recording cannot fill (its labels, say) stays empty."""


def make_tables(findings: Findings) -> dict[str, pd.DataFrame]:
    """All tables by name; one that could not be computed has its columns and no rows."""
    return {
        name: table.reindex(columns=list(COLUMNS[name]))
        for section in SECTIONS
        for name, table in section.tables(findings[section.name]).items()
    }


def write_tables(findings: Findings, folder: Path) -> None:
    """Write all tables as CSV (UTF-8, comma, one header line)."""
    folder.mkdir()
    for name, table in make_tables(findings).items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
