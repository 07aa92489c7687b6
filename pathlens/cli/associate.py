"""`pathlens associate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import Associations
    from pathlens.recording import Recording

_KIND = "associations"
_MANIFEST = "summary.json"
_ROWS = 12
_SHOWN = {
    "concept": "concept",
    "layer": "layer",
    "combination": "filters",
    "phi": "phi",
    "phi_ci_low": "low",
    "phi_ci_high": "high",
    "precision": "precision",
    "recall": "recall",
    "p_corrected": "p",
    "gain_over_best_single": "gain",
    "beyond_class": "class?",
}


def associate(
    recording: Annotated[
        Path | None, Argument(metavar="[RECORDING]", help="Folder of a recording.")
    ] = None,
    concepts: Annotated[
        Path | None,
        Option(help="CSV or Parquet table image,concept[,value]. [default: the recording's own]"),
    ] = None,
    layer: Annotated[
        list[str] | None, Option(help="Number, name or glob; may be given several times.")
    ] = None,
    max_size: Annotated[int, Option(help="Filters in a combination, at most.")] = 3,
    quality: Annotated[
        str, Option(help="What the search ranks by: phi, wracc (weighted accuracy), lift.")
    ] = "phi",
    correction: Annotated[
        str, Option(help="holm (any false claim), bh or by (share of false claims).")
    ] = "holm",
    threshold: Annotated[
        float | None,
        Option(help="Shares above it count. [default: the median of positive ones]"),
    ] = None,
    sequence: Annotated[
        bool | None,
        Option(
            "--sequence/--no-sequence",
            help="Images of a group are frames of a video. [default: where groups hold several]",
        ),
    ] = None,
    baseline: Annotated[
        list[Path] | None,
        Option(help="Recording of other codes to stand beside; may be given several times."),
    ] = None,
    out: Annotated[Path | None, Option(help="Folder for the tables and the figure.")] = None,
    seed: Annotated[int, Option(help="Of the split and all that is drawn by chance.")] = 0,
) -> None:
    """Find combinations of filters that go with concepts, and test them on other images."""
    from dataclasses import replace

    from pathlens.analysis import associations
    from pathlens.analysis.associating.ledger import note_use
    from pathlens.cli.choose import chosen_recording
    from pathlens.cli.report import named
    from pathlens.concepts import read_concepts
    from pathlens.errors import PathLensError
    from pathlens.recording import open_recording

    source = open_recording(chosen_recording(recording))
    if out is not None:
        _refuse_other_kinds(out)
    found = associations(
        source,
        layer or None,
        None if concepts is None else read_concepts(concepts),
        seed=seed,
        max_size=max_size,
        quality=quality,
        correction=correction,
        threshold=threshold,
        sequence=sequence,
        baselines={name: open_recording(x) for name, x in named(baseline or []).items()},
    )
    try:
        found = replace(found, uses=note_use(source, found.question))
    except PathLensError as error:  # of a recording that may only be read, say
        typer.echo(f"Not noted beside the recording: {error}", err=True)
    _print(found)
    if out is not None:
        _write(found, out, source)
        typer.echo(f"\nTables and figure: {out}")


def _print(found: Associations) -> None:
    typer.echo(found.summary())
    if found.left_out:
        typer.echo(f"Left out: {found.left_out}.")
    if not found.confirmed.empty:
        typer.echo("\n".join(["", *_lines(found.confirmed)]))


def _lines(confirmed: pd.DataFrame) -> list[str]:
    """The strongest confirmed combination of each concept, a line each."""
    ranked = confirmed.sort_values("phi", ascending=False, kind="stable")
    best = ranked.drop_duplicates("concept")
    table = best.head(_ROWS)[list(_SHOWN)].rename(columns=_SHOWN)
    table["concept"] = table["concept"].str.slice(0, 30)
    table["p"] = [f"{p:.1g}" if p > 0 else "<1e-300" for p in table["p"]]
    text: str = table.to_string(index=False, float_format=lambda x: f"{x:.2f}", na_rep="")
    more = len(best) - len(table)
    return [*text.splitlines(), *([f"and {more} more concepts"] if more > 0 else [])]


def _refuse_other_kinds(out: Path) -> None:
    """Only former associations may be replaced; a report has the same mark but another kind."""
    from pathlens.errors import PathLensError
    from pathlens.files import read_json

    if out.is_dir() and any(out.iterdir()):
        manifest = out / _MANIFEST
        if not manifest.is_file() or read_json(manifest).get("kind") != _KIND:
            raise PathLensError(
                f"{out} holds other files than associations: give an empty or a new folder with "
                "--out."
            )


def _write(found: Associations, out: Path, source: Recording) -> None:
    """Write all tables and the figure, or leave what stood there before."""
    from pathlens.analysis.drawing import figure_bytes
    from pathlens.files import write_bytes, write_json, write_text
    from pathlens.reporting.swap import swapped_in

    figure = found.plot()
    tables = {"associations": found.frame, "association_baselines": found.baselines}
    with swapped_in(out.resolve(), _KIND) as fresh:
        (fresh / "tables").mkdir()
        for name, table in tables.items():
            text = table.to_csv(index=False, float_format="%.6g")
            write_text(fresh / "tables" / f"{name}.csv", text)
        for kind in ("png", "svg"):
            write_bytes(fresh / f"associations.{kind}", figure_bytes(figure, kind))
        write_json(fresh / _MANIFEST, _manifest(found, source))


def _manifest(found: Associations, source: Recording) -> dict[str, Any]:
    return {
        "kind": _KIND,
        "recording": {"folder": str(source.folder), "hash": source.hash},
        "summary": found.summary(),
        "left_out": found.left_out,
        "searched": found.searched,
        "tested": len(found.frame),
        "confirmed": len(found.confirmed),
        "level": found.level,
        "correction": found.correction,
        "question": found.question.id,
        "split": found.question.split,
        "uses": found.uses,
    }
