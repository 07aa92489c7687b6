"""The folder that a command writes its tables and figures to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def fresh_folder(out: Path | None, kind: str) -> Iterator[Path | None]:
    """A fresh folder that takes the place of `out` at a clean end; None where none is asked for.

    A folder that holds something else is refused at once, before the work of the block begins.

    Args:
        out: The folder.
        kind: What the manifest in the folder calls its kind; only such folders are replaced.

    Raises:
        PathLensError: If `out` holds other files, or cannot be written.
    """
    if out is None:
        yield None
        return
    from pathlens.reporting.swap import swapped_in

    with swapped_in(out.resolve(), kind) as fresh:
        yield fresh
