"""`pathlens record`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def record(
    run: Annotated[str | None, Argument(metavar="[RUN]", help="Name or folder of a run.")] = None,
    data: Annotated[
        str | None, Option(help="Data set or folder; the run's own if not given.")
    ] = None,
    split: Annotated[str | None, Option(help="train, validation, test, or all.")] = None,
    limit: Annotated[int | None, Option(help="Seeded, class-balanced subset.")] = None,
    part_size: Annotated[int, Option(help="Images a part.", min=1)] = 4096,
    out: Annotated[Path | None, Option(help="Folder; below the run's if not given.")] = None,
    batch_size: Annotated[int, Option(help="Images a forward pass.", min=1)] = 128,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    thumbnails: Annotated[bool, Option(help="Keep small pictures for the report.")] = True,
) -> None:
    """Record the path of every image; an interrupted recording goes on where it stopped."""
    from pathlens.cli.choose import chosen_run
    from pathlens.recorder import record as run_recording

    run_recording(
        chosen_run(run),
        data,
        split=split,
        limit=limit,
        part_size=part_size,
        out=out,
        batch_size=batch_size,
        device=device,
        thumbnails=thumbnails,
    )
