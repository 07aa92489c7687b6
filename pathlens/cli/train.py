"""`pathlens train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

_MODEL = (
    "resnet20|32|44|56|110, cifar_vgg16_bn, cifar_googlenet, small_cnn, any torchvision network, or "
    "package.module:function."
)
_DATA = "scenes, scenes:shortcut, digits, cifar10, cifar100, or the path of an image folder."


def train(
    model: Annotated[str | None, Argument(metavar="MODEL", help=_MODEL)] = None,
    data: Annotated[str | None, Option(help=_DATA)] = None,
    weights: Annotated[Path | None, Option(help="Weight file to start from.")] = None,
    start_from: Annotated[
        str | None, Option("--from", metavar="RUN", help="Run to start and learn from.")
    ] = None,
    epochs: Annotated[int | None, Option(help="Passes over the images; 0 only measures.")] = None,
    recipe: Annotated[str, Option(help="short, released, top-k, or a TOML file.")] = "short",
    macs: Annotated[
        float | None, Option(help="Share of the plain network's MACs to end with; 0.5 in short.")
    ] = None,
    plain: Annotated[bool, Option("--plain", help="No gates: the fair comparison.")] = False,
    unapplied: Annotated[
        bool,
        Option("--unapplied", help="Gates trained beside a plain run (--from), never applied."),
    ] = False,
    width: Annotated[float, Option(help="Factor on the filters of CIFAR forms.")] = 1.0,
    image_size: Annotated[int | None, Option(help="Input height and width in pixels.")] = None,
    batch_size: Annotated[
        int | None, Option(help="Images a step; the recipe's if not given, or less for few images.")
    ] = None,
    bf16: Annotated[bool, Option("--bf16", help="Mixed precision; measured in float32.")] = False,
    limit: Annotated[int | None, Option(help="Seeded, class-balanced subset.")] = None,
    compile: Annotated[
        bool, Option("--compile", help="Training steps through torch.compile.")
    ] = False,
    run: Annotated[str | None, Option(help="Name; an unfinished run is resumed.")] = None,
    seed: Annotated[int, Option(help="Of weights, order, augmentation and noise.")] = 0,
    data_seed: Annotated[int, Option(help="Of validation split and subset.")] = 0,
    device: Annotated[str, Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    download: Annotated[bool, Option("--download", help="Fetch a data set not on disk.")] = False,
    tensorboard: Annotated[
        bool, Option("--tensorboard", help="Write the history for TensorBoard too.")
    ] = False,
) -> None:
    """Train a decoupled network: which filters run is decided image by image."""
    from pathlens.training import InterruptedTraining
    from pathlens.training import train as run_training

    try:
        run_training(
            model,
            data,
            weights=weights,
            start_from=start_from,
            epochs=epochs,
            recipe=recipe,
            macs=macs,
            plain=plain,
            unapplied=unapplied,
            width=width,
            image_size=image_size,
            batch_size=batch_size,
            precision="bfloat16" if bf16 else "float32",
            limit=limit,
            compile=compile,
            run=run,
            seed=seed,
            data_seed=data_seed,
            device=device,
            download=download,
            tensorboard=tensorboard,
        )
    except InterruptedTraining:
        if os.environ.get("RANK", "0") == "0":
            raise
        raise Exit(1) from None  # process 0 of several says it
