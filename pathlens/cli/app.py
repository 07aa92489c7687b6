"""The `pathlens` command: its commands, and how errors are told."""

from __future__ import annotations

import os
import sys

import typer

from pathlens._version import __version__
from pathlens.cli.associate import associate
from pathlens.cli.compare import compare
from pathlens.cli.concepts import concepts
from pathlens.cli.cut import cut
from pathlens.cli.demo import demo
from pathlens.cli.detect import detect
from pathlens.cli.explain import explain
from pathlens.cli.layers import layers
from pathlens.cli.merge import merge
from pathlens.cli.probe import probe
from pathlens.cli.record import record
from pathlens.cli.report import report
from pathlens.cli.speed import speed
from pathlens.cli.train import train
from pathlens.cli.verify import verify
from pathlens.errors import PathLensError

app = typer.Typer(
    name="pathlens",
    help="See how a convolutional network computes: one path of filters for every image.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    *(train, layers, record, merge, verify, probe, report),
    *(explain, associate, compare, cut, speed, demo),
):
    app.command()(command)
app.add_typer(concepts, name="concepts")
app.add_typer(detect, name="detect")


_STOPPED = (
    "Stopped; what was finished is kept: give the same command with the name of the run (--run NAME) "
    "or of the folder (--out DIR) to go on."
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pathlens {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line; bad input ends in one sentence and status 1, Ctrl-C in status 130."""
    try:
        app()
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except PathLensError as error:
        _fail(str(error), 130 if type(error).__name__.startswith("Interrupted") else 1)
    except SystemExit as stop:
        if stop.code == 130:  # what typer makes of Ctrl-C
            _fail(_STOPPED, 130)
        raise
    except KeyboardInterrupt:
        _fail(_STOPPED, 130)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}; check the path and its permissions.", 1)


def _fail(sentence: str, status: int) -> None:
    typer.echo(f"pathlens: {' '.join(sentence.split())}", err=True)
    sys.exit(status)
