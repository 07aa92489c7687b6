"""`pathlens demo`."""

from __future__ import annotations

import typer


def demo() -> None:
    """Train on the embedded scenes, record, report: a page in minutes."""
    from pathlens.demo import run_demo

    typer.echo(f"Page: {run_demo()}")
