"""Which run or recording a bare command takes, said to the user."""

from __future__ import annotations

from pathlib import Path

import typer

from pathlens.runs import Run, find_recording, find_run


def chosen_run(spec: str | None) -> Run:
    """The run called `spec`, or the newest decoupled one, which is said."""
    run = find_run(spec, with_paths=spec is None)
    if spec is None:
        typer.echo(f"Run {run.name} (the newest).")
    return run


def chosen_recording(spec: Path | None) -> Path:
    """The recording at `spec`, or the newest one of clean images, which is said."""
    folder = find_recording(spec)
    if spec is None:
        typer.echo(f"Recording {folder} (the newest of clean images).")
    return folder
