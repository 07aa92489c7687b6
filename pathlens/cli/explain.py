"""`pathlens explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option


def explain(
    images: Annotated[
        list[str],
        Argument(metavar="IMAGE ...", help="Picture files, or ids or positions in the recording."),
    ],
    run: Annotated[
        str | None, Option(help="Name or folder of a run; the recording's, or the newest.")
    ] = None,
    recording: Annotated[
        Path | None, Option(help="Recording to hold paths against; the run's newest if not given.")
    ] = None,
    data: Annotated[
        str | None, Option(help="Where recorded images are, if not where the run found them.")
    ] = None,
    neighbours: Annotated[int, Option(help="Nearest images to name.", min=1)] = 8,
    passes: Annotated[
        int | None, Option(help="Filters to ablate one by one, at most.", min=1)
    ] = None,
    seed: Annotated[int, Option(help="Of the random sets to compare with.", min=0)] = 0,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    detectors: Annotated[
        Path | None,
        Option(help="Fitted detectors of altered images; those beside the recording if not given."),
    ] = None,
    out: Annotated[
        Path | None, Option(help="Folder of the explanations; below the run's if not given.")
    ] = None,
) -> None:
    """Explain single images: their path, what flips the decision, whose paths are near."""
    from pathlens.cli.choose import chosen_run
    from pathlens.probing.explaining import Explainer
    from pathlens.runs import find_recording

    given = None if recording is None else find_recording(recording)
    explainer = Explainer(
        chosen_run(run) if run is not None or given is None else None,
        given,
        data=data,
        neighbours=neighbours,
        passes=passes,
        seed=seed,
        device=device,
        detectors=detectors,
    )
    if given is None and explainer.recording is not None:
        typer.echo(f"Recording {explainer.recording.folder} (the run's newest).")
    root = out or explainer.loaded.run.folder / "explanations"
    taken: set[str] = set()
    for image in images:
        explanation = explainer.explain(image)
        folder = root / _unused(_folder_name(explanation.image), taken)
        explanation.save(folder)
        typer.echo(f"\n{explanation.text()}\n\nFigure: {folder / 'explanation.png'}")


def _folder_name(image: str) -> str:
    """The stem of a file's name; of an image inside the recording, its id, as one name."""
    path = Path(image)
    inside = path.stem if path.is_file() else str(path.with_suffix(""))
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in inside).strip(".-") or "image"


def _unused(name: str, taken: set[str]) -> str:
    """The name, with a number where another image of this call has it already."""
    unused, number = name, 1
    while unused in taken:
        number += 1
        unused = f"{name}-{number}"
    taken.add(unused)
    return unused
