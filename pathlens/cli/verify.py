"""`pathlens verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument


def verify(
    recording: Annotated[Path, Argument(metavar="RECORDING", help="Folder of a recording.")],
) -> None:
    """Prove that a recording is whole: every hash, every id, every padding bit."""
    from pathlens.recording import open_recording
    from pathlens.runs import find_recording

    found = open_recording(find_recording(recording))
    found.verify()
    typer.echo(
        f"{found.folder} is whole: {len(found):,} images, {len(found.layers)} layers, "
        f"{found.layers.filters:,} filters."
    )
