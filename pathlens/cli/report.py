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
    baseline: Annotated[
        list[Path] | None,
        Option(help="Recording of other codes to stand beside; may be given several times."),
    ] = None,
    hierarchy: Annotated[
        Path | None, Option(help="Table of classes by superclasses, 0 or 1 (TSV, CSV, JSON).")
    ] = None,
    out: Annotated[Path | None, Option(help="Folder of the report.")] = None,
    seed: Annotated[int, Option(help="Of everything drawn by chance.")] = 0,
    fresh: Annotated[
        bool, Option("--fresh", help="Make it again even where nothing has changed.")
    ] = False,
) -> None:
    """Make the page: which filters the network uses for which images."""
    from pathlens.cli.choose import chosen_recording
    from pathlens.reporting import report as make_report

    page = make_report(
        chosen_recording(recording),
        layers=layer or None,
        concepts=concepts,
        out=out,
        seed=seed,
        baselines=named(baseline or []),
        hierarchy=hierarchy,
        fresh=fresh,
    )
    typer.echo(f"Page: {page}")


def named(folders: list[Path]) -> dict[str, Path]:
    """Recordings by what tells them apart: the shortest ends of their paths that all differ.

    Raises:
        PathLensError: If one folder is given twice.
    """
    from pathlens.errors import PathLensError

    paths = [folder.resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        raise PathLensError("A baseline was given twice: name each recording once with --baseline.")
    for length in range(1, max((len(path.parts) for path in paths), default=1) + 1):
        names = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return dict(zip(names, paths, strict=True)) if paths else {}
