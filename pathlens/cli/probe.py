"""`pathlens probe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option


def probe(
    recording: Annotated[
        Path | None, Argument(metavar="[RECORDING]", help="Folder of a recording below its run.")
    ] = None,
    data: Annotated[
        str | None, Option(help="Where the images are, if not where the run found them.")
    ] = None,
    images: Annotated[
        int, Option(help="Class-balanced subset that filters are ablated on.", min=1)
    ] = 500,
    by_layer: Annotated[
        bool, Option("--by-layer", help="Swap the gates of each layer alone, too.")
    ] = False,
    seed: Annotated[int, Option(help="Of everything drawn by chance.", min=0)] = 0,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
) -> None:
    """Measure whether the paths matter: swap them, ablate class signatures, explain a few images."""
    from pathlens.cli.choose import chosen_recording
    from pathlens.probing import probe as measure

    for sentence in measure(
        chosen_recording(recording),
        data=data,
        images=images,
        by_layer=by_layer,
        seed=seed,
        device=device,
    ):
        typer.echo(sentence)
    typer.echo("Tables lie beside the recording: `pathlens report` shows them.")
