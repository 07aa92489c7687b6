"""The tables of the study, from what was measured of each row."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.append(str(Path(__file__).resolve().parents[1]))

from shared_work import write_table

from pathlens.analysis.baselines import OWN

BESIDE = ("bound", "beyond", "ami", "ami_last", "concept_phi", "dynamic")
"""Measures of which those of the plain network's codes at equal on-rates stand in the wide table."""

SHOWN = {
    "accuracy, %": ("accuracy", 100, 1),
    "lost": ("lost", 100, 1),
    "MACs, %": ("macs_share", 100, 1),
    "gates on, %": ("gate_density", 100, 1),
    "one path": ("lost_one_path", 100, 1),
    "another class": ("lost_other_class", 100, 1),
    "dynamic, %": ("dynamic", 100, 0),
    "bits": ("bound_last", 1, 2),
    "beyond number on": ("beyond_last", 1, 2),
    "AMI, whole": ("ami", 1, 2),
    "AMI, last": ("ami_last", 1, 2),
    "φ of concepts": ("concept_phi", 1, 2),
    "gain": ("concept_gain", 1, 2),
    "AUROC": ("auroc", 1, 2),
}
"""Columns of the table in README.md: which of table.csv, times what, with how many digits."""


def write_tables(
    rows: Mapping[str, Mapping[str, list[dict[str, Any]]]],
    named: Mapping[str, str],
    groups: Sequence[str],
    target: Path,
) -> pd.DataFrame:
    """Write sum_up.csv and table.csv.

    Args:
        rows: What was measured, by row and group.
        named: What each row is, in words.
        groups: The groups in the order of the table.
        target: Folder to write to.

    Returns:
        The long table: row, what, group, measure, code, value, low, high, images, reason.
    """
    found = [
        {"row": name, "what": named[name], "group": one, **measure}
        for name, by_group in rows.items()
        for one in groups
        for measure in by_group[one]
    ]
    long = pd.DataFrame(found)
    write_table(long.round(4), target / "sum_up.csv")
    write_table(wide(long).round(4), target / "table.csv")
    return long


def wide(long: pd.DataFrame) -> pd.DataFrame:
    """A row a code or network, a column a measure; "measure (code)" for codes at equal on-rates."""
    beside = (long["code"] != OWN) & long["measure"].isin(BESIDE)
    shown = long[(long["code"] == OWN) | beside].copy()
    shown["column"] = shown["measure"].where(
        shown["code"] == OWN, shown["measure"] + " (" + shown["code"] + ")"
    )
    order = list(dict.fromkeys(shown["column"]))
    own = [name for name in order if not name.endswith(")")]
    columns = [x for name in own for x in order if x == name or x.startswith(f"{name} (")]
    table = shown.pivot(index="row", columns="column", values="value")
    table = table.reindex(index=list(dict.fromkeys(shown["row"])), columns=columns)
    what = shown.drop_duplicates("row").set_index("row")["what"]
    table.insert(0, "what", what)
    return table.rename_axis(columns=None).reset_index()


def markdown(table: pd.DataFrame) -> str:
    """The table of README.md: an empty cell where there is no value.

    Args:
        table: As table.csv has it.
    """
    lines = []
    for row in table.to_dict("records"):
        cells = [_cell(row.get(name), *how) for name, *how in SHOWN.values()]
        lines.append([str(row["what"]), *cells])
    head = [f"| {' | '.join(['row', *SHOWN])} |", "|---" * (1 + len(SHOWN)) + "|"]
    return "\n".join([*head, *(f"| {' | '.join(line)} |" for line in lines)])


def _cell(value: Any, factor: int, digits: int) -> str:
    return "" if value is None or pd.isna(value) else f"{factor * value:.{digits}f}"
