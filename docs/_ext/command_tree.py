"""The commands of the typer app, as the reference and the tests go through them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name ("pathlens concepts build masks"), in the order of the help."""
    import typer

    from pathlens.cli.app import app

    yield from _below("pathlens", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield name, command
    for word, child in getattr(command, "commands", {}).items():
        yield from _below(f"{name} {word}", child)


def anchor(name: str) -> str:
    """Where a command stands on the page: "pathlens-concepts-build"."""
    return name.replace(" ", "-")


def help_records(name: str, command: Any) -> tuple[str, list[tuple[str, str]]]:
    """The usage line, and a (names, help) pair for every argument and option."""
    context = command.make_context(name, [], resilient_parsing=True)
    pieces = " ".join(command.collect_usage_pieces(context))
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    known = [record for record in records if record is not None]
    return f"{name} {pieces}", [(names, text) for names, text in known if names != "--help"]
