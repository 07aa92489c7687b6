"""`pathlens speed`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

if TYPE_CHECKING:
    from pathlens.skipping.speed import Speed


def speed(
    run: Annotated[str | None, Argument(metavar="[RUN]", help="Name or folder of a run.")] = None,
    data: Annotated[
        str | None, Option(help="Where images are, if not where the run found them.")
    ] = None,
    images: Annotated[int, Option(help="Images to run on.", min=1)] = 64,
    batch: Annotated[
        list[str] | None,
        Option(metavar="N,N", help="Numbers of images at once.", show_default="1,8,32"),
    ] = None,
    threads: Annotated[
        list[str] | None, Option(metavar="N,N", help="Numbers of threads.", show_default="1,2")
    ] = None,
    turns: Annotated[int, Option(help="Times that every form runs.", min=1)] = 9,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1.")] = "cpu",
    json: Annotated[Path | None, Option(metavar="FILE", help="Write all numbers here.")] = None,
) -> None:
    """Time the network dense, masked, running only the filters on, and statically cut."""
    from pathlens.cli.choose import chosen_run
    from pathlens.deploying import speed as measure
    from pathlens.files import write_json

    told: list[str] = []

    def say(line: str) -> None:
        told.append(line)
        typer.echo(line)

    found = measure(
        chosen_run(run),
        data=data,
        images=images,
        batch_sizes=_numbers(batch, "--batch") or (1, 8, 32),
        threads=_numbers(threads, "--threads") or (1, 2),
        turns=turns,
        device=device,
        say=say,
    )
    _print(found, told)
    if json is not None:
        write_json(json, found.to_json())
        typer.echo(f"\nAll numbers: {json}")


def _numbers(given: list[str] | None, option: str) -> list[int]:
    """Whole numbers, given with commas, several times, or both."""
    from pathlens.errors import PathLensError

    parts = [part.strip() for text in given or () for part in text.split(",")]
    for part in parts:
        if not part.isdigit() or int(part) < 1:
            raise PathLensError(
                f"{option} takes whole numbers from 1 on, as in 1,8,32, not '{part}'."
            )
    return [int(part) for part in parts]


def _print(found: Speed, told: list[str]) -> None:
    from pathlens.cli.table import aligned

    for note in found.notes:
        if note not in told:
            typer.echo(note)
    rows = [("threads", "batch", "MACs", "ms", "quartiles", "over dense", "form")]
    for row in found.frame.itertuples():
        form, mode = str(row.form), str(row.mode)
        spread = f"{row.ms_low:.2f} to {row.ms_high:.2f}"
        counts = str(row.threads), str(row.batch), f"{row.macs:,}"
        rows.append(
            (
                *counts,
                f"{row.ms:.2f}",
                spread,
                f"{row.speedup:.2f}",
                f"{form} ({mode})" if mode else form,
            )
        )
    typer.echo("\n" + "\n".join(aligned(rows)))
    _print_steps(found)
    facts = ", ".join(f"{name} {value}" for name, value in found.machine.items())
    typer.echo(f"\nMedians and quartiles of {found.turns} turns; {facts}.")


def _print_steps(found: Speed) -> None:
    from pathlens.cli.table import aligned

    threads = found.frame["threads"].min()
    layers = found.layers[found.layers["threads"] == threads]
    if not len(layers):
        return
    rows = [("filters on", "dense ms", "skipping ms", "step")]
    for step in layers.itertuples():
        share = "-" if step.share != step.share else f"{step.share:.0%}"
        times = f"{step.dense_ms:.3f}", f"{step.skipping_ms:.3f}"
        rows.append((share, *times, str(step.step)))
    for kind, part in layers.groupby("kind", sort=False):
        dense, skipping = part["dense_ms"].sum(), part["skipping_ms"].sum()
        rows.append(("", f"{dense:.3f}", f"{skipping:.3f}", f"all of kind {kind!s}"))
    typer.echo(f"\nWhere the time of one image goes (threads: {threads}):")
    typer.echo("\n".join(aligned(rows)))
