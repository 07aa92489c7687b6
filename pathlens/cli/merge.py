"""`pathlens merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option


def merge(
    folders: Annotated[
        list[Path], Argument(metavar="FOLDER...", help="What `record --shard` has made.")
    ],
    out: Annotated[Path | None, Option(help="Folder; the first one if not given.")] = None,
) -> None:
    """Join shards that were recorded into different folders."""
    from pathlens.analysis.results import plural
    from pathlens.recording import merge as join

    found = join(folders, out)
    typer.echo(
        f"{found.folder} is finished: {plural(len(found), 'image')}, "
        f"{plural(len(found.layers), 'layer')}."
    )
