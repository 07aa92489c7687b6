"""`pathlens layers`."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument


def layers(
    run: Annotated[str | None, Argument(metavar="[RUN]", help="Name or folder of a run.")] = None,
) -> None:
    """List the gated layers, and what is not gated with the reason."""
    from pathlens.cli.choose import chosen_run
    from pathlens.cli.table import aligned
    from pathlens.decoupling import DecoupledNetwork
    from pathlens.errors import PathLensError
    from pathlens.training import load_run

    found = chosen_run(run)
    network = load_run(found).network
    if not isinstance(network, DecoupledNetwork):
        raise PathLensError(f"Run {found.name} is a plain network: none of its layers is gated.")
    rows = [("layer", "name", "filters", "inputs", "output", "MACs")]
    rows += [
        (
            str(layer.index),
            layer.name,
            str(layer.filters),
            str(layer.in_channels),
            "{} x {}".format(*layer.output_size),
            f"{layer.macs:,}",
        )
        for layer in network.layers
    ]
    for line in aligned(rows):
        typer.echo(line)
    typer.echo(
        f"\nPlain network: {network.cost.dense:,} MACs an image; gating modules: "
        f"{network.cost.gating:,} ({network.cost.gating / network.cost.dense:.1%})."
    )
    typer.echo("\nNot gated:")
    for line in aligned([(entry.name, entry.reason) for entry in network.not_gated]):
        typer.echo(f"  {line}")
