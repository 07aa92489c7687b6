"""The tables of the study, from what was measured of each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pathlens.analysis.baselines import OWN

BESIDE = ("bound", "beyond", "ami", "ami_last", "concept_phi", "dynamic")
"""Measures of which those of the plain network's codes at equal on-rates stand in the wide table."""


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
    target.mkdir(parents=True, exist_ok=True)
    _save(long, target / "sum_up.csv")
    _save(wide(long), target / "table.csv")
    return long


def _save(frame: pd.DataFrame, target: Path) -> None:
    frame.round(4).to_csv(target, index=False, lineterminator="\n")


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
    """The wide table as Markdown lines; an empty cell where there is no value."""
    head = [str(column) for column in table.columns]
    lines = [head, ["---"] * len(head)]
    for row in table.itertuples(index=False):
        lines.append([_cell(value) for value in row])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if pd.isna(value) else f"{value:.3f}"
