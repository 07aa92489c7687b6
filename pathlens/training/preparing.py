"""Before a training: what was asked for is checked, and networks and the run's folder are made."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import torch
from torch import nn

from pathlens._version import __version__
from pathlens.datasets import Dataset
from pathlens.datasets.loader import View
from pathlens.datasets.registry import LOADERS
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.decoupling.observe import observe
from pathlens.errors import PathLensError
from pathlens.files import clear_disk_errors, write_json
from pathlens.lock import FolderLock
from pathlens.models import default_image_size, is_cifar_form, load_weights
from pathlens.recording.manifest import image_fingerprint
from pathlens.runs import Run, find_run, runs_root
from pathlens.training.attributes import attribute_values
from pathlens.training.config import Config
from pathlens.training.loading import load_run

Say = Callable[[str], None]


def existing_run(run: str | None) -> Run | None:
    """The run of this name, if it was begun."""
    if run is None:
        return None
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", run):
        raise PathLensError(
            f"'{run}' cannot be the name of a run: use letters, digits, dots, dashes and underscores."
        )
    return find_run(run) if (runs_root() / run / "config.json").is_file() else None


def finished_line(run: Run) -> str:
    """What is said where nothing is left to do."""
    return f"Run {run.name} is finished already; give another --run to train anew."


def training_images(dataset: Dataset) -> int:
    """Number of training images."""
    return len(dataset.splits.get("train", ()))


def fingerprint(dataset: Dataset) -> str:
    """Fingerprint of the training images; "" where there are none to train on."""
    train = dataset.splits.get("train")
    return "" if train is None else image_fingerprint(train.ids, train.labels)


def attribute_fingerprint(config: Config, dataset: Dataset) -> str:
    """Fingerprint of what the auxiliary classifiers read of the training images; "" for nothing.

    Raises:
        PathLensError: If what says so is missing or does not fit the images.
    """
    if config.plain:
        return ""
    found = attribute_values(config.recipe.losses, dataset.split("train"), config.seed)
    return "" if found is None else found.fingerprint


def check(config: Config, dataset: Dataset) -> None:
    """Make sure that the settings can be met and fit the images.

    Raises:
        PathLensError: If they do not.
    """
    dataset.split("train")  # a flat folder without labels has none, and says so
    if len(config.classes) < 2:
        raise PathLensError(f"'{config.data}' has one class only: training needs at least two.")
    if config.epochs < 0 or config.batch_size < 2:
        raise PathLensError("--epochs must be 0 or more and --batch-size at least 2.")
    if config.start_from is not None and config.weights is not None:
        raise PathLensError("Give either --weights or --from, not both.")
    if config.unapplied:
        _check_unapplied(config)
    if config.seed < 0:
        raise PathLensError(f"The seed {config.seed} is negative: give 0 or more.")
    if not 0 < config.width < 100:
        raise PathLensError(f"--width {config.width} must be a factor above 0, such as 0.5.")
    for name in ("train", "validation", "test"):
        if not len(dataset.split(name)):
            raise PathLensError(
                f"'{config.data}' leaves no {name} images: training needs at least two images of a "
                "class, and test images."
            )


def _check_unapplied(config: Config) -> None:
    """Make sure that there is a network to stand beside, and something to learn from."""
    if config.start_from is None or config.plain:
        raise PathLensError(
            "--unapplied trains gating modules beside a plain network: give its run with --from, and "
            "not --plain."
        )
    losses = config.recipe.losses
    if not (losses.mutual_information or losses.alignment or losses.sparsity_weight):
        raise PathLensError(
            f"Recipe {config.recipe.name} has no loss that gates learn from where they are not applied: "
            "choose another, such as short."
        )


def check_scores(network: nn.Module, config: Config) -> None:
    """Make sure that the network runs on images of this size and knows these classes.

    Raises:
        PathLensError: If it does not.
    """
    size, classes = config.view.size, len(config.classes)
    outputs = observe(network, torch.zeros(1, 3, size, size)).outputs
    if outputs[0].shape != (1, classes):
        raise PathLensError(
            f"'{config.model}' gives scores of shape {outputs[0].shape} for one image, not "
            f"(1, {classes}): it must return one score for each of the {classes} classes."
        )


def view_of(model: str, dataset: Dataset, size: int | None) -> View:
    """How images become the network's input, of the size asked for or the natural one."""
    if size is not None and size < 8:
        raise PathLensError(f"--image-size {size} is too small: give at least 8 pixels.")
    native = dataset.native_size
    if size is None:
        embedded = dataset.name in LOADERS
        keep_native = native is not None and (embedded or (is_cifar_form(model) and native <= 64))
        size = native if keep_native and native is not None else default_image_size(model)
    return View.of(size, native, mirror=dataset.mirrored)


def starting_networks(
    config: Config, say: Say, *, resumed: bool
) -> tuple[nn.Module, nn.Module | None]:
    """The plain network to start from, and the one to learn from.

    A run that is resumed has its weights in its checkpoint.
    """
    plain = config.build()
    if config.weights is not None and not resumed:
        say(f"{config.weights}: {load_weights(plain, Path(config.weights)).describe()}.")
    if config.start_from is None:
        return plain, None
    source = load_run(config.start_from)
    if not source.trained:
        raise PathLensError(
            f"Run {source.run.name} is not finished: finish it before starting from it."
        )
    if config.unapplied and not source.config.plain:
        raise PathLensError(
            f"Run {source.run.name} has gates already: --unapplied needs --from a plain run "
            "(trained with --plain)."
        )
    teacher = source.network.requires_grad_(False)
    start = teacher.restore() if isinstance(teacher, DecoupledNetwork) else teacher
    if source.config.classes != config.classes:
        raise PathLensError(
            f"Run {source.run.name} knows other classes than '{config.data}': start from its "
            "checkpoint with --weights, which replaces the classifier."
        )
    try:
        plain.load_state_dict(start.state_dict())
    except RuntimeError as error:
        raise PathLensError(
            f"Run {source.run.name} holds a {source.config.model} (width {source.config.width:g}), "
            f"not a {config.model} (width {config.width:g})."
        ) from error
    if config.unapplied:
        say(f"Gating modules learn beside run {source.run.name}, which stays as it is.")
        return plain, None
    say(f"Starts from run {source.run.name} and learns from it.")
    return plain, teacher


def new_run(config: Config, name: str | None) -> Run:
    """A run of this name, or of one that says what is trained and is not taken."""
    root = runs_root()
    if name is not None:
        return Run(root / name)
    data = re.sub(r"[^A-Za-z0-9]+", "-", Path(config.data).name).strip("-")
    model = re.sub(r"[^A-Za-z0-9]+", "-", config.model.rpartition(":")[2]).strip("-")
    kind = "-plain" if config.plain else "-unapplied" if config.unapplied else ""
    base = f"{model}-{data}{kind}"
    number, chosen = 1, base
    while (root / chosen).exists():
        number += 1
        chosen = f"{base}-{number}"
    return Run(root / chosen)


def claim(run: Run, config: Config) -> FolderLock:
    """Make the run's folder, lock it, and write the configuration."""
    with clear_disk_errors(run.folder):
        run.folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(run.folder / "training.lock", "--run")
    try:
        versions = {"pathlens": __version__, "torch": torch.__version__}
        write_json(run.folder / "config.json", {**config.to_json(), "versions": versions})
    except BaseException:
        lock.release()
        raise
    return lock


def check_same_settings(run: Run, config: Config, dataset: Dataset) -> None:
    """Make sure that a run that is resumed is asked for what it was begun with.

    Raises:
        PathLensError: If settings, images, or their attribute differ.
    """
    earlier = Config.from_json(run.config)
    if not earlier.attribute:  # of an earlier version, which did not note it
        config = replace(config, attribute="")
    differs = [
        f.name for f in fields(Config) if getattr(earlier, f.name) != getattr(config, f.name)
    ]
    if earlier.images != fingerprint(dataset):
        raise PathLensError(
            f"The training images of '{config.data}' are not those that run {run.name} was begun with: "
            "give another --run."
        )
    if earlier.attribute != config.attribute and differs == ["attribute"]:
        losses = config.recipe.losses
        raise PathLensError(
            f"{losses.attribute_table or config.data} no longer says of the training images what it "
            f"said when run {run.name} was begun (attribute {losses.attribute}): put it back as it was, "
            "or give another --run."
        )
    if differs:
        raise PathLensError(
            f"Run {run.name} was begun with other settings ({', '.join(differs)}): repeat its "
            f"command, resume it with `pathlens train --run {run.name}`, or give another --run."
        )
