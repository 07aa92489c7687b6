"""`pathlens verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from pathlens.errors import PathLensError

if TYPE_CHECKING:
    from pathlens.recording import Recording


def verify(
    recording: Annotated[Path, Argument(metavar="RECORDING", help="Folder of a recording.")],
    data: Annotated[
        str | None, Option(help="Data set or folder: have its images changed since?")
    ] = None,
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
    if data is not None:
        _check_images(found, data)
        typer.echo(f"The images in {data} are those that were recorded.")


def _check_images(recording: Recording, data: str) -> None:
    from pathlens.changes import changed_images

    changes = changed_images(recording, data)
    for change in changes:
        typer.echo(f"part {change.part}: {change.image} {change.change}")
    if changes:
        parts = len({change.part for change in changes})
        raise PathLensError(
            f"{len(changes)} images in {data} are not what was recorded: run the same `pathlens "
            f"record` command with --changed, which makes only their {parts} "
            f"{'part' if parts == 1 else 'parts'} again, or record into another --out."
        )
