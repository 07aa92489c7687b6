"""`pathlens compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis.comparing.compare import Comparison

_KIND = "comparison"
_TABLES = {
    "frame": "layers",
    "filters": "filters",
    "classes": "classes",
    "clusters": "clusters",
    "scores": "scores",
}
_SHOWN = {
    "layer": "layer",
    "name": "name",
    "filters": "filters",
    "states_changed": "states",
    "rates_changed": "rates",
    "equal": "equal",
    "expected": "expected",
    "own_best": "own best",
}


def compare(
    a: Annotated[Path, Argument(metavar="A", help="Folder of a recording.")],
    b: Annotated[Path, Argument(metavar="B", help="Folder of another one.")],
    layer: Annotated[
        list[str] | None, Option(help="Number, name or glob; may be given several times.")
    ] = None,
    out: Annotated[Path | None, Option(help="Folder for the tables and the figure.")] = None,
    seed: Annotated[int, Option(help="Of everything drawn by chance.")] = 0,
) -> None:
    """Compare two recordings: which filters changed, which classes moved."""
    from pathlens.analysis.comparing.compare import compare as compare_recordings
    from pathlens.cli.folder import fresh_folder
    from pathlens.recording import open_recording
    from pathlens.runs import find_recording

    first, second = find_recording(a), find_recording(b)
    with fresh_folder(out, _KIND) as folder:
        found = compare_recordings(
            open_recording(first), open_recording(second), layers=layer or None, seed=seed
        )
        typer.echo(f"A: {first}\nB: {second}\n{found.summary()}")
        if found.left_out:
            typer.echo(f"Left out: {found.left_out}.")
        if not found.frame.empty:
            typer.echo("\n".join(["", *_lines(found.frame)]))
        if folder is not None:
            _write(found, folder, {"A": str(first), "B": str(second)})
    if out is not None:
        typer.echo(f"\nTables and figure: {out}")


def _lines(frame: pd.DataFrame) -> list[str]:
    """A line a layer: numbers of filters that changed, shares of gates that are equal."""
    table = frame[list(_SHOWN)].rename(columns=_SHOWN)
    shown = table.dropna(axis="columns", how="all")
    text: str = shown.to_string(index=False, float_format=lambda share: f"{share:.1%}", na_rep="")
    return text.splitlines()


def _write(found: Comparison, folder: Path, recordings: dict[str, str]) -> None:
    """Write all tables and the figure."""
    from pathlens.analysis.drawing import figure_bytes
    from pathlens.files import write_bytes, write_json, write_text
    from pathlens.reporting.swap import MARK

    figure = found.plot()
    for name, title in _TABLES.items():
        table: pd.DataFrame = getattr(found, name)
        if len(table):
            write_text(folder / f"{title}.csv", table.to_csv(index=False))
    for kind in ("png", "svg"):
        write_bytes(folder / f"comparison.{kind}", figure_bytes(figure, kind))
    manifest = {
        "kind": _KIND,
        **recordings,
        "summary": found.summary(),
        "left_out": found.left_out,
    }
    write_json(folder / MARK, manifest)
