"""`pathlens report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option


def report(
    recording: Annotated[
        Path | None, Argument(metavar="[RECORDING]", help="Folder of a recording.")
    ] = None,
    layer: Annotated[
        list[str] | None, Option(help="Number, name or glob; may be given several times.")
    ] = None,
    concepts: Annotated[
        Path | None, Option(help="CSV or Parquet table image,concept[,value].")
    ] = None,
    out: Annotated[Path | None, Option(help="Folder of the report.")] = None,
    seed: Annotated[int, Option(help="Of everything drawn by chance.")] = 0,
) -> None:
    """Make the page: which filters the network uses for which images."""
    from pathlens.cli.choose import chosen_recording
    from pathlens.reporting import report as make_report

    page = make_report(
        chosen_recording(recording), layers=layer or None, concepts=concepts, out=out, seed=seed
    )
    typer.echo(f"Page: {page}")
