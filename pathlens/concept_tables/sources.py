"""Reading what concepts are made from: tables with a header, matrices, lists of names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from pathlens.concept_tables.layout import Floats
from pathlens.errors import PathLensError

_NUMBERED = re.compile(r"(\d+)\s+(\S.*)")


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 text file that hold something, without space at their ends.

    Raises:
        PathLensError: If it is missing, no text, or empty.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, "a text file in UTF-8", error) from error
    lines = [line for line in lines if line]
    if not lines:
        raise PathLensError(f"{path} is empty: it needs a line for every name.")
    return lines


def read_names(path: str | Path) -> tuple[str, ...]:
    """Names in order, one a line, with or without their number (from 0 or 1) before them.

    Raises:
        PathLensError: If the file cannot be read, or its numbers do not count up.
    """
    source = Path(path)
    lines = read_lines(source)
    matches = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    if len(matches) < len(lines):
        return tuple(lines)
    numbers = [int(match[1]) for match in matches]
    start = numbers[0]
    if start not in (0, 1) or numbers != list(range(start, start + len(numbers))):
        raise PathLensError(
            f"The numbers in {source} do not count up from 0 or 1 line by line: sort its lines, as "
            "their order is that of the matrix."
        )
    return tuple(match[2] for match in matches)


def read_separated(path: str | Path) -> pd.DataFrame:
    """A table with a header, all its entries text; tabs in a .tsv file, else commas.

    Raises:
        PathLensError: If it cannot be read or has no rows.
    """
    source = Path(path)
    separator = "\t" if source.suffix.lower() == ".tsv" else ","
    try:
        table = pd.read_csv(
            source, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        wanted = (
            f"a table with a header, separated by {'tabs' if separator == chr(9) else 'commas'}"
        )
        raise _unreadable(source, wanted, error) from error
    if table.empty:
        raise PathLensError(f"{source} has no rows below its header: fill it.")
    return table.map(str.strip).rename(columns=str.strip)


def numbers(table: pd.DataFrame, source: str | Path) -> Floats:
    """The entries of a text table as numbers, (rows, columns).

    Raises:
        PathLensError: If an entry is no finite number.
    """
    found: Floats = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        row, column = (int(position) for position in bad[0])
        raise PathLensError(
            f"Row {row + 1} below the header of {source} has '{table.iat[row, column]!s}' as "
            f"{table.columns[column]}, which is not a number: mend it."
        )
    return found


def read_matrix(path: str | Path) -> Floats:
    """A matrix of numbers, from a .npy file or from text with spaces or commas between them.

    Raises:
        PathLensError: If it cannot be read or is no matrix of finite numbers.
    """
    source = Path(path)
    try:
        if source.suffix.lower() == ".npy":
            matrix: Floats = np.load(source, allow_pickle=False)
        else:
            lines = read_lines(source)
            matrix = np.loadtxt(lines, delimiter="," if "," in lines[0] else None, ndmin=2)
        found: Floats = np.asarray(matrix).astype(np.float64, casting="same_kind")
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise _unreadable(source, "a matrix of numbers", error) from error
    if found.ndim != 2 or not found.size or not np.isfinite(found).all():
        raise PathLensError(
            f"{source} is not a matrix of finite numbers: its shape is {found.shape}."
        )
    return found


def _unreadable(path: Path, wanted: str, error: Exception) -> PathLensError:
    if isinstance(error, FileNotFoundError):
        return PathLensError(f"There is no file {path}: check its name.")
    reason = " ".join((getattr(error, "strerror", None) or str(error)).split()).rstrip(".")
    return PathLensError(f"{path} cannot be read as {wanted} ({reason}).")
