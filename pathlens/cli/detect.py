"""`pathlens detect attack | fit | score | evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

detect = typer.Typer(
    help="Adversarial images: attack a network, and detect the images from their paths.",
    no_args_is_help=True,
)

_Recording = Annotated[
    Path | None,
    Argument(metavar="[RECORDING]", help="Folder of a recording with scores, features, logits."),
]
_Detectors = Annotated[
    list[str] | None, Option("--detector", help="Name of a detector; several times.")
]
_Layers = Annotated[
    list[str] | None, Option("--layer", help="Layer that detectors see; several times.")
]


@detect.command()
def attack(
    labels: Annotated[
        list[str],
        Argument(
            metavar="LABEL...",
            help="What to do: fgsm-8 (8/255), pgd-linf-8, pgd-l2-0.5, deepfool, cw-l2, square-8; "
            "benign: noise-8, jpeg-75, corruption-contrast-3, ...",
        ),
    ],
    run: Annotated[str | None, Option(help="Name or folder of a decoupled run.")] = None,
    data: Annotated[
        str | None, Option(help="Where the images are, if not where the run found them.")
    ] = None,
    images: Annotated[
        int | None,
        Option(help="Class-balanced subset of images that the network gets right.", min=1),
    ] = None,
    source: Annotated[
        str | None, Option(help="Another run: attack its network, and see what carries over.")
    ] = None,
    gates: Annotated[
        str | None, Option(help="Gradient through gates: straight-through, soft or hard.")
    ] = None,
    jpeg: Annotated[bool, Option("--jpeg", help="Attacked images encoded again, as well.")] = False,
    adaptive: Annotated[
        Path | None,
        Option(
            metavar="DETECTOR",
            help="JSON file of a fitted detector that is to be evaded as well, by pgd-linf-8 (along "
            "its gradient) or square-8 (by its scores).",
        ),
    ] = None,
    through: Annotated[
        Path | None,
        Option(
            metavar="DETECTOR",
            help="With --adaptive: another one whose gradient is followed, for one without.",
        ),
    ] = None,
    orthogonal: Annotated[
        bool,
        Option(
            "--orthogonal",
            help="With --adaptive: steps along one gradient at right angles to the other.",
        ),
    ] = False,
    seed: Annotated[int, Option(help="Of everything drawn by chance.", min=0)] = 0,
    batch_size: Annotated[int, Option(help="Images a forward pass.", min=1)] = 128,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
) -> None:
    """Make attacked images or benign controls, and record them beside the clean ones."""
    from pathlens.attacking import attack as attack_and_record
    from pathlens.attacking import attack_detector
    from pathlens.cli.choose import chosen_run
    from pathlens.errors import PathLensError

    if adaptive is not None:
        if source is not None or jpeg:
            raise PathLensError("--source and --jpeg do not go with --adaptive: leave them out.")
        knowing = attack_detector(
            chosen_run(run),
            labels,
            adaptive,
            orthogonal=orthogonal,
            through=through,
            data=data,
            images=images,
            gates=gates,
            seed=seed,
            batch_size=batch_size,
            device=device,
        )
        for altered, recording in knowing.values():
            typer.echo(f"{altered.summary()} {recording.folder}")
        return
    if through is not None or orthogonal:
        raise PathLensError("--through and --orthogonal need --adaptive: name a fitted detector.")
    made = attack_and_record(
        chosen_run(run),
        labels,
        data=data,
        images=images,
        source=source,
        gates=gates,
        jpeg=jpeg,
        seed=seed,
        batch_size=batch_size,
        device=device,
    )
    for label, recording in made.items():
        table = recording.images
        wrong = (table["label"] != table["prediction"]).mean()
        typer.echo(f"{label}: {len(table):,} images, {wrong:.1%} misclassified: {recording.folder}")
    if "clean" in made:
        typer.echo(f'Next: pathlens detect fit "{made["clean"].folder}"')


@detect.command()
def fit(
    recording: _Recording = None,
    detector: _Detectors = None,
    attacked: Annotated[
        list[Path] | None,
        Option(help="Recording of attacked images, for supervised detectors; several times."),
    ] = None,
    layer: _Layers = None,
    false_alarms: Annotated[
        float, Option(help="Share of clean images that may be flagged, 0 to 1.")
    ] = 0.05,
    hold_back: Annotated[
        float,
        Option(help="Share of clean images left alone, for attacks that know a detector; 0 to 1."),
    ] = 0.2,
    out: Annotated[
        Path | None, Option(help="Folder to write; beside the recording if not given.")
    ] = None,
    seed: Annotated[int, Option(help="Draws the images to fit on.", min=0)] = 0,
) -> None:
    """Fit detectors on some clean images, fix their thresholds on as many others."""
    from pathlens.cli.choose import chosen_recording
    from pathlens.detection import fit as fit_detectors
    from pathlens.detection.evaluation.cells import FEWEST_CLEAN

    found = fit_detectors(
        chosen_recording(recording),
        detector or ("likelihood",),
        attacked=attacked or (),
        layers=layer,
        false_alarms=false_alarms,
        hold_back=hold_back,
        out=out,
        seed=seed,
    )
    for name, saved in found.items():
        typer.echo(f"{name}: flags scores above {saved.threshold:.4g}.")
        if saved.used is not None and len(saved.used) < FEWEST_CLEAN:
            typer.echo(
                f"It was fitted on {len(saved.used)} images: so few give a guess and no threshold, and "
                f"are too few to evaluate."
            )
    typer.echo("Score any recording of the same network with `pathlens detect score`.")


@detect.command()
def score(
    recording: _Recording = None,
    detectors: Annotated[
        Path | None,
        Option(help="Folder or JSON file of fitted detectors; beside the recording if not given."),
    ] = None,
) -> None:
    """Score the images of a recording; scores lie beside it."""
    import numpy as np

    from pathlens.cli.choose import chosen_recording
    from pathlens.detection import score as score_images
    from pathlens.detection.api import FITTED
    from pathlens.detection.saving import SCORES

    folder = chosen_recording(recording)
    for name, (scores, threshold) in score_images(folder, detectors or folder / FITTED).items():
        flagged = "" if threshold is None else f", {np.mean(scores > threshold):.1%} flagged"
        typer.echo(f"{name}: {len(scores):,} images, median {np.median(scores):.4g}{flagged}.")
    typer.echo(f"Scores: {folder / SCORES}")


@detect.command()
def evaluate(
    recording: _Recording = None,
    altered: Annotated[
        list[Path] | None,
        Option(
            help="Recording of altered images; all beside the clean one if not given, but for attacks "
            "that know a detector."
        ),
    ] = None,
    baseline: Annotated[
        list[Path] | None,
        Option(help="Clean recording of another code of these images; its altered ones beside it."),
    ] = None,
    detector: _Detectors = None,
    layer: _Layers = None,
    family: Annotated[
        list[str] | None,
        Option(
            metavar="SET=FAMILY",
            help="Sets of one family are left out together; told by their names if not given.",
        ),
    ] = None,
    seed: Annotated[int, Option(help="Of the split, the bootstrap and the draws.", min=0)] = 0,
    seeds: Annotated[int, Option(help="Splits, to see how areas spread.", min=1)] = 1,
    out: Annotated[
        Path | None, Option(help="Folder of tables and figures; beside the recording by default.")
    ] = None,
) -> None:
    """Hold detectors against attacks on images that they have not seen, with benign controls."""
    from pathlens.cli.choose import chosen_recording
    from pathlens.detection import evaluate_recordings

    clean = chosen_recording(recording)
    found = evaluate_recordings(
        clean,
        altered,
        baselines=baseline or (),
        detectors=detector,
        layers=layer,
        families=_families(family or ()),
        seed=seed,
        seeds=seeds,
    )
    folder = out or clean / "detection"
    found.save(folder)
    typer.echo(found.summary())
    if found.left_out:
        typer.echo(f"Left out: {found.left_out}.")
    typer.echo(f"Tables and figures: {folder}")


def _families(given: Sequence[str]) -> dict[str, str]:
    """Set to family, from "SET=FAMILY"."""
    from pathlens.errors import PathLensError

    found = {}
    for text in given:
        name, _, family = text.partition("=")
        if not name or not family:
            raise PathLensError(
                f"--family {text} names no set and family: give them as in --family pgd-l2-0.5=l2."
            )
        found[name] = family
    return found
