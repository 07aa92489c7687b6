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
    from pathlens.analysis.results import plural
    from pathlens.recording import open_recording
    from pathlens.runs import find_recording

    found = open_recording(find_recording(recording))
    found.verify()
    typer.echo(
        f"{found.folder} is whole: {plural(len(found), 'image')}, "
        f"{plural(len(found.layers), 'layer')}, {plural(found.layers.filters, 'filter')}."
    )
    if data is not None:
        _check_images(found, data)
        typer.echo(f"The images in {data} are those that were recorded.")


def _check_images(recording: Recording, data: str) -> None:
    from pathlens.analysis.results import plural
    from pathlens.changes import changed_images

    changes = changed_images(recording, data)
    for change in changes:
        typer.echo(f"part {change.part}: {change.image} {change.change}")
    if changes:
        parts = len({change.part for change in changes})
        differ = "is not" if len(changes) == 1 else "are not"
        raise PathLensError(
            f"{plural(len(changes), 'image')} in {data} {differ} what was recorded: run the "
            f"same `pathlens record` command with --changed, which makes only their "
            f"{plural(parts, 'part')} again, or record into another --out."
        )
