"""`pathlens cut`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option


def cut(
    run: Annotated[str | None, Argument(metavar="[RUN]", help="Name or folder of a run.")] = None,
    classes: Annotated[
        list[str] | None,
        Option(
            "--class",
            metavar="NAME,NAME",
            help="Keep the filters that images of these classes use; may be given several times.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        Option(metavar="SHARE", help="Keep filters that are on for at least this share of images."),
    ] = None,
    recording: Annotated[
        Path | None, Option(help="Recording of the run; its newest if not given.")
    ] = None,
    data: Annotated[
        str | None, Option(help="Where recorded images are, if not where the run found them.")
    ] = None,
    out: Annotated[
        list[Path] | None,
        Option(metavar="FILE", help="File to write, .pt2 or .onnx; may be given several times."),
    ] = None,
    images: Annotated[
        int, Option(help="Recorded images to measure accuracy on; 0 for none.", min=0)
    ] = 300,
    seed: Annotated[int, Option(help="Draws these images.", min=0)] = 0,
) -> None:
    """Cut the network down to the filters that some classes, or enough images, use."""
    from pathlens.cli.choose import chosen_run
    from pathlens.cli.table import aligned
    from pathlens.deploying import cut as cut_run

    made = cut_run(
        chosen_run(run),
        classes=[name.strip() for given in classes or () for name in given.split(",")],
        threshold=threshold,
        recording=recording,
        data=data,
        out=out or (),
        images=images,
        seed=seed,
    )
    rows = [("layer", "name", "filters", "kept", "share", "least rate")]
    for row in made.frame.itertuples():
        counts = str(row.filters), str(row.kept)
        rows.append(
            (str(row.layer), str(row.name), *counts, f"{row.share:.0%}", f"{row.least_rate:.2%}")
        )
    for line in aligned(rows):
        typer.echo(line)
    typer.echo(f"\n{made.summary()}")
    if made.left_out:
        typer.echo(made.left_out)
    for file in made.saved:
        typer.echo(file.summary())
    if not made.saved:
        typer.echo("Nothing was written: name files with --out FILE.pt2 or FILE.onnx.")
