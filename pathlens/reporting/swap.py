"""Writing a folder whole or not at all: made beside, swapped in at the end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pathlens.errors import PathLensError
from pathlens.files import clear_disk_errors

MARK = "summary.json"
"""The file by which a folder is known to be a report, which a new one may replace."""


@contextmanager
def swapped_in(target: Path, kind: str | None = None) -> Iterator[Path]:
    """A fresh folder beside `target` to write to; it takes the place of `target` at a clean end.

    However the block ends otherwise (an error, Ctrl-C), the fresh folder is removed and what stood
    at `target` before is untouched.

    Raises:
        PathLensError: If `target` holds something that is no report, or cannot be written.
    """
    _refuse_strangers(target, kind)
    fresh = target.with_name(f".{target.name}.{os.getpid()}.partial")
    with clear_disk_errors(target):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            yield fresh
            _take_place(fresh, target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _refuse_strangers(target: Path, kind: str | None) -> None:
    if target.exists() and not target.is_dir():
        raise PathLensError(f"{target} is a file: give another folder for the report with --out.")
    if target.is_dir() and any(target.iterdir()) and not _is_of_kind(target, kind):
        raise PathLensError(
            f"{target} holds other files than {kind or 'a report'}: give an empty or a new folder "
            "with --out."
        )


def _take_place(fresh: Path, target: Path) -> None:
    former = target.with_name(f".{target.name}.{os.getpid()}.former")
    if target.exists():
        target.rename(former)
    try:
        fresh.rename(target)
    except OSError:
        if former.exists():
            former.rename(target)
        raise
    shutil.rmtree(former, ignore_errors=True)


def _is_of_kind(folder: Path, kind: str | None) -> bool:
    """Whether a folder holds what the same command has written; a report names no kind."""
    try:
        numbers = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(numbers, dict) and numbers.get("kind") == kind
