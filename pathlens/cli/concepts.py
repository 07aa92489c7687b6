"""`pathlens concepts build SOURCE`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

if TYPE_CHECKING:
    import pandas as pd

concepts = typer.Typer(
    help="Concept tables: which images have which concepts.", no_args_is_help=True
)
build = typer.Typer(
    help="Build a table image,concept,value from what others have labelled.",
    no_args_is_help=True,
)
concepts.add_typer(build, name="build")

_Images = Annotated[
    Path, Option(help="The image folder, as given to `pathlens record`.", metavar="DATA")
]
_Out = Annotated[Path, Option("--out", "-o", help="Table to write: .csv or .parquet.")]
_Recording = Annotated[
    Path | None, Option(help="Check that the table speaks of this recording's images.")
]


@build.command()
def masks(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="Masks, named as the images are.")],
    images: _Images,
    classes: Annotated[Path, Option(help="Lines `number name` or `red green blue name`.")],
    out: _Out,
    void: Annotated[
        list[str] | None,
        Option(help="Unlabelled class: name, number or r,g,b; several times. [default: by name]"),
    ] = None,
    share_of: Annotated[
        str, Option(help="Shares are of all pixels (image) or of labelled ones (labelled).")
    ] = "image",
    ending: Annotated[str, Option(help="What names of masks have more: _L for 001_L.png.")] = "",
    recording: _Recording = None,
) -> None:
    """Share of an image's pixels that are of each class."""
    options = {"classes": classes, "void": void or None, "share_of": share_of, "ending": ending}
    _build("masks", folder, images, options, out, recording)


@build.command()
def boxes(
    table: Annotated[Path, Argument(metavar="TABLE", help=".tsv or .csv, a row a box.")],
    images: _Images,
    out: _Out,
    names: Annotated[
        Path | None, Option(help="Readable names: lines of tab-separated key(s) and name.")
    ] = None,
    edges: Annotated[
        str, Option(help="Whether x1, y1 are inside the box: inclusive, exclusive.")
    ] = "inclusive",
    complete: Annotated[
        bool, Option("--complete", help="Images without a row have no concept.")
    ] = False,
    recording: _Recording = None,
) -> None:
    """Share of an image's area that boxes of each concept cover."""
    options = {"names": names, "edges": edges, "complete": complete}
    _build("boxes", table, images, options, out, recording)


@build.command()
def hierarchy(
    table: Annotated[Path, Argument(metavar="TABLE", help="Classes x superclasses, 0 and 1.")],
    images: _Images,
    out: _Out,
    recording: _Recording = None,
) -> None:
    """Superclasses of the class in whose folder an image lies."""
    _build("hierarchy", table, images, {}, out, recording)


@build.command()
def attributes(
    matrix: Annotated[Path, Argument(metavar="MATRIX", help="Classes x attributes; text or .npy.")],
    images: _Images,
    classes: Annotated[Path, Option(help="Names of the rows, one a line.")],
    attributes: Annotated[Path, Option(help="Names of the columns, one a line.")],
    out: _Out,
    scale: Annotated[float, Option(help="The number that means fully; 100 for percentages.")] = 1.0,
    recording: _Recording = None,
) -> None:
    """Attributes of the class in whose folder an image lies."""
    options = {"classes": classes, "attributes": attributes, "scale": scale}
    _build("attributes", matrix, images, options, out, recording)


@build.command()
def counts(
    table: Annotated[Path, Argument(metavar="COUNTS", help="Images x classes; .npy or text.")],
    images: Annotated[
        str,
        Option(help="Image folder with rows as names (00003.jpg), or cifar10.", metavar="DATA"),
    ],
    out: _Out,
    classes: Annotated[
        Path | None, Option(help="Names of the columns; the class folders if not given.")
    ] = None,
    ambiguity: Annotated[bool, Option(help="Add how much people disagree, 0 to 1.")] = True,
    recording: _Recording = None,
) -> None:
    """Share of people who chose each class."""
    _build("counts", table, images, {"classes": classes, "ambiguity": ambiguity}, out, recording)


def _build(
    source: str,
    given: Path,
    images: Path | str,
    options: dict[str, Any],
    out: Path,
    recording: Path | None,
) -> None:
    """Build, check against the recording, write, and say what is in the table."""
    from pathlens.analysis.results import plural
    from pathlens.concept_tables.registry import builder
    from pathlens.concepts import check_suffix, write_concepts

    check_suffix(out)
    recorded = _recorded(recording)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        table = builder(source)(given, images=images, **options)
    fit = _fit(table, recorded)
    write_concepts(out, table)
    _print_summary(table)
    for note in notes:
        typer.echo(f"Note: {note.message}")
    if recording is not None:
        typer.echo(f"Recording {recording}: {fit}.")
    images_and_rows = f"{plural(table['image'].nunique(), 'image')}, {plural(len(table), 'row')}"
    typer.echo(f"Table: {out} ({images_and_rows})")


def _recorded(recording: Path | None) -> list[str] | None:
    """The images of the recording, if one is given."""
    if recording is None:
        return None
    from pathlens.recording import open_recording
    from pathlens.runs import find_recording

    return [str(name) for name in open_recording(find_recording(recording)).images["image"]]


def _fit(table: pd.DataFrame, recorded: list[str] | None) -> str:
    from pathlens.concept_tables import coverage

    return "" if recorded is None else coverage(table, recorded).summary()


def _print_summary(table: pd.DataFrame) -> None:
    """A line a concept."""
    from pathlens.concept_tables import summarise

    frame = summarise(table)
    width = max(map(len, frame["concept"]), default=0)
    typer.echo(f"{'concept':{width}}  {'images':>8}  {'share':>6}  {'median':>7}  {'on':>8}")
    for concept, images, share, median, on, note in frame.itertuples(index=False):
        middle = "" if images == 0 else f"{median:.4f}"
        line = f"{concept:{width}}  {images:8,}  {share:6.1%}  {middle:>7}  {on:8,}  {note}"
        typer.echo(line.rstrip())
