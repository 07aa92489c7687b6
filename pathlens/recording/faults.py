"""Telling a fault of a recording's file in one sentence that ends with the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pathlens.errors import PathLensError
from pathlens.recording.manifest import AGAIN
from pathlens.recording.parts import PartFault


def damaged(folder: Path, file: str, fault: str) -> PathLensError:
    """The error for a file that is not as it was recorded; `fault` follows its name."""
    return PathLensError(f"{folder / file} {fault}; {AGAIN}.")


@contextmanager
def naming(folder: Path, file: str) -> Iterator[None]:
    """Turn a `PartFault` into a sentence that names the file and says what to do."""
    try:
        yield
    except PartFault as fault:
        raise damaged(folder, file, str(fault)) from fault
