"""Tables beside a recording that grow from call to call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pathlens.errors import PathLensError
from pathlens.files import write_text
from pathlens.recording.reader import Recording


def merge_table(source: Recording, name: str, frame: pd.DataFrame, keys: Sequence[str]) -> Path:
    """Add rows to a table beside a recording, in the column `recording` its hash.

    Rows of another recording, which lay in the same folder before, are dropped; rows with the same keys
    as new ones make place for them; all others stay as they are.

    Args:
        source: The recording.
        name: File name of the table.
        frame: The new rows.
        keys: Columns that say what a row is about.

    Returns:
        Where the table lies.

    Raises:
        PathLensError: If the table that is there cannot be read, or the new one not be written.
    """
    target = source.folder / name
    added = frame.assign(recording=source.hash)
    before = _read(target, list(added.columns))
    before = before[before["recording"] == source.hash]
    again = pd.MultiIndex.from_frame(added[list(keys)].astype(str))
    kept = before[~pd.MultiIndex.from_frame(before[list(keys)].astype(str)).isin(again)]
    whole = pd.concat([kept, added], ignore_index=True) if len(kept) else added
    write_text(target, whole.to_csv(index=False, lineterminator="\n"))
    return target


def _read(target: Path, columns: list[str]) -> pd.DataFrame:
    if not target.exists():
        return pd.DataFrame(columns=columns)
    try:
        table = pd.read_csv(target, keep_default_na=False, na_values=[""])
    except ValueError as error:
        raise PathLensError(f"{target} is no CSV table: move it away and measure again.") from error
    if list(table.columns) != columns:
        raise PathLensError(
            f"{target} has other columns than this version writes: move it away and measure again."
        )
    return table
