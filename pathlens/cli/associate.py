"""`pathlens associate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import Associations
    from pathlens.probing.mask_views import Masks
    from pathlens.recording import Recording

_KIND = "associations"
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
    "iou": "IoU",
    "iou_ceiling": "at most",
    "iou_best_single": "single",
    "ablation_effect": "ablated",
    "ablation_effect_random": "random",
}
_LEGEND = {
    "iou": "IoU of the response map with the concept's pixels (at most: with as many pixels on; "
    "single: of the layer's best single filter)",
    "ablation_effect": "ablated: change of the concept's log odds with the filters forced off "
    "(random: mean over matched random sets)",
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
    masks: Annotated[
        str | None,
        Option(
            help="Hold what is confirmed against masks: their folder, or `dataset` for the data's own; "
            "small pictures of the images are kept beside the recording.",
            metavar="FOLDER",
        ),
    ] = None,
    classes: Annotated[
        Path | None, Option(help="Of the masks: lines `number name` or `red green blue name`.")
    ] = None,
    void: Annotated[
        list[str] | None,
        Option(help="Unlabelled class: name, number or r,g,b; several times. [default: by name]"),
    ] = None,
    ending: Annotated[str, Option(help="What names of masks have more: _L for 001_L.png.")] = "",
    ablate: Annotated[
        bool, Option("--ablate", help="Force what is confirmed off: what becomes of the concept?")
    ] = False,
    unconfirmed: Annotated[
        bool, Option("--unconfirmed", help="Measure all that was tested, confirmed or not.")
    ] = False,
    strongest: Annotated[
        int, Option(help="Measure so many at most, of every concept the largest phi first.", min=1)
    ] = 20,
    data: Annotated[
        str | None, Option(help="Where the images are, if not where the run found them.")
    ] = None,
    images: Annotated[
        int, Option(help="Images that masks and ablation are measured on, at most.", min=2)
    ] = 500,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1, mps; for masks and ablation.")] = "cpu",
) -> None:
    """Find combinations of filters that go with concepts, and test them on other images.

    With --masks and --ablate the network is run again, to measure what was confirmed.
    """
    from pathlens.analysis import associations
    from pathlens.cli.choose import chosen_recording
    from pathlens.cli.folder import fresh_folder
    from pathlens.cli.report import named
    from pathlens.concepts import read_concepts
    from pathlens.errors import PathLensError
    from pathlens.recording import open_recording

    source = open_recording(chosen_recording(recording))
    table = None if concepts is None else read_concepts(concepts)
    wanted = _masks(masks, classes, void, ending)
    _require_measurable(source, wanted, ablate, data)
    with fresh_folder(out, _KIND) as folder:
        found = associations(
            source,
            layer or None,
            table,
            seed=seed,
            max_size=max_size,
            quality=quality,
            correction=correction,
            threshold=threshold,
            sequence=sequence,
            baselines={name: open_recording(x) for name, x in named(baseline or []).items()},
            progress=True,
        )
        found = _noted(source, found)
        refusal = ""
        if wanted is not None or ablate:
            from pathlens.probing import measure_combinations

            try:
                found = measure_combinations(
                    source,
                    found,
                    masks=wanted,
                    ablate=ablate,
                    concepts=table,
                    threshold=threshold,
                    confirmed_only=not unconfirmed,
                    strongest=strongest,
                    data=data,
                    images=images,
                    seed=seed,
                    device=device,
                )
            except PathLensError as error:  # what was found is kept all the same
                refusal = str(error)
        _print(found)
        if folder is not None:
            _write(found, folder, source)
    kept = "No tables written; --out FOLDER keeps them."
    typer.echo(f"\n{kept if out is None else f'Tables and figure: {out}'}")
    if refusal:
        typer.echo(f"Not measured: {refusal}", err=True)
        raise typer.Exit(1)


def _masks(
    folder: str | None, classes: Path | None, void: list[str] | None, ending: str
) -> Masks | None:
    """Where masks are from; what cannot be read is refused before anything is searched."""
    from pathlens.errors import PathLensError

    if folder is None or folder == "dataset":
        if classes is not None or void or ending:
            raise PathLensError(
                "--classes, --void and --ending are about masks: give --masks FOLDER."
            )
        return "dataset" if folder else None
    if classes is None:
        raise PathLensError(
            "What the pixels of the masks mean is not known: give --classes with a file of lines "
            "`number name` or `red green blue name`."
        )
    from pathlens.probing import MaskFolder

    masks = MaskFolder(folder, classes, void or None, ending)
    masks.read_classes()
    return masks


def _require_measurable(
    source: Recording, masks: Masks | None, ablate: bool, data: str | None
) -> None:
    """Refuse before the search what could not be measured after it."""
    if masks is not None or ablate:
        from pathlens.probing.combination_settings import require_measurable

        require_measurable(source, masks, data)


def _noted(source: Recording, found: Associations) -> Associations:
    """With the number of questions asked by now, and what was measured for this one before."""
    from pathlens.analysis.associating.ledger import note_use
    from pathlens.analysis.measured.combinations import with_measured
    from pathlens.analysis.results import join_notes
    from pathlens.errors import PathLensError

    try:
        found = replace(found, uses=note_use(source, found.question))
    except PathLensError as error:  # of a recording that may only be read, say
        typer.echo(f"Not noted beside the recording: {error}", err=True)
    try:
        return with_measured(source, found)
    except PathLensError as error:
        note = f"what masks and ablation say ({str(error).rstrip('.')})"
        return replace(found, left_out=join_notes([found.left_out, note]))


def _print(found: Associations) -> None:
    for piece in found.statements():
        typer.echo(piece)
    if found.left_out:
        typer.echo(f"Left out: {found.left_out}.")
    if not found.confirmed.empty:
        typer.echo("\n".join(["", *_lines(found.confirmed)]))


def _lines(confirmed: pd.DataFrame) -> list[str]:
    """The strongest confirmed combination of each concept, a line each."""
    from pathlens.analysis.associating.association_table import UNFILLED

    ranked = confirmed.sort_values("phi", ascending=False, kind="stable")
    best = ranked.drop_duplicates("concept")
    best = best.drop(columns=[name for name in UNFILLED if best[name].isna().all()])
    shown = {key: head for key, head in _SHOWN.items() if key in best}
    table = best.head(_ROWS)[list(shown)].rename(columns=shown)
    table["concept"] = table["concept"].str.slice(0, 30)
    table["p"] = [f"{p:.1g}" if p > 0 else "<1e-300" for p in table["p"]]
    text: str = table.to_string(index=False, float_format=lambda x: f"{x:.2f}", na_rep="")
    more = len(best) - len(table)
    legend = "; ".join(said for name, said in _LEGEND.items() if name in shown)
    further = [f"and {more} more concepts" * (more > 0), f"{legend}." * bool(legend)]
    return [*text.splitlines(), *filter(None, further)]


def _write(found: Associations, folder: Path, source: Recording) -> None:
    """Write all tables and the figure."""
    from pathlens.analysis.drawing import figure_bytes
    from pathlens.files import write_bytes, write_json, write_text
    from pathlens.reporting.swap import MARK

    figure = found.plot()
    tables = {"associations": found.frame, "association_baselines": found.baselines}
    (folder / "tables").mkdir()
    for name, table in tables.items():
        text = table.to_csv(index=False, float_format="%.6g")
        write_text(folder / "tables" / f"{name}.csv", text)
    for kind in ("png", "svg"):
        write_bytes(folder / f"associations.{kind}", figure_bytes(figure, kind))
    write_json(folder / MARK, _manifest(found, source))


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
