"""`pathlens record`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option


def record(
    run: Annotated[str | None, Argument(metavar="[RUN]", help="Name or folder of a run.")] = None,
    data: Annotated[
        str | None, Option(help="Data set or folder; the run's own if not given.")
    ] = None,
    split: Annotated[
        str | None, Option(help="train, validation or test; all of a folder without classes.")
    ] = None,
    limit: Annotated[int | None, Option(help="Seeded, class-balanced subset.")] = None,
    part_size: Annotated[int, Option(help="Images a part.", min=1)] = 4096,
    out: Annotated[Path | None, Option(help="Folder; below the run's if not given.")] = None,
    batch_size: Annotated[int, Option(help="Images a forward pass.", min=1)] = 128,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    thumbnails: Annotated[bool, Option(help="Keep small pictures for the report.")] = True,
    columns: Annotated[
        str,
        Option(
            "--with",
            help="Keep floats too, in a folder named after them: scores,responses,features,logits.",
        ),
    ] = "",
    groups: Annotated[
        Path | None, Option(help="CSV file: image,group[,source_image,attack].")
    ] = None,
    plain: Annotated[
        str | None, Option(help="Baseline codes of a plain run: response, random, unapplied.")
    ] = None,
    rates_from: Annotated[
        str | None, Option(metavar="RUN", help="Decoupled run whose on-rates --plain takes.")
    ] = None,
    rates_images: Annotated[
        int, Option(help="Training images to measure rates on, at most.", min=1)
    ] = 10_000,
    seed: Annotated[int, Option(help="Of those images and of random codes.", min=0)] = 0,
    shard: Annotated[
        str | None, Option(metavar="K/N", help="Record only this share of the parts, as 3/16.")
    ] = None,
    changed: Annotated[
        bool, Option("--changed", help="Make parts again whose images have changed since.")
    ] = False,
) -> None:
    """Record the path of every image; an interrupted recording goes on where it stopped."""
    from pathlens.cli.choose import chosen_run
    from pathlens.recorder import record as run_recording
    from pathlens.recording.shards import OtherShardsMissingError

    try:
        run_recording(
            chosen_run(run) if run is not None or plain is None else None,
            data,
            split=split,
            limit=limit,
            part_size=part_size,
            out=out,
            batch_size=batch_size,
            device=device,
            thumbnails=thumbnails,
            columns=columns,
            groups=groups,
            plain=plain,
            rates_from=rates_from,
            rates_images=rates_images,
            seed=seed,
            shard=shard,
            changed=changed,
        )
    except OtherShardsMissingError as note:
        typer.echo(str(note))
