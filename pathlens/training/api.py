"""`train()`: from a pretrained network and images to a decoupled network in a run folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from pathlens._version import __version__
from pathlens.datasets import Dataset, load_dataset
from pathlens.datasets.loader import ImageLoader, View
from pathlens.datasets.registry import LOADERS, resolve_spec
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.decoupling.observe import observe
from pathlens.devices import check_device
from pathlens.errors import PathLensError
from pathlens.files import clear_disk_errors, write_json, write_text
from pathlens.lock import FolderLock
from pathlens.models import default_image_size, is_cifar_form, load_weights
from pathlens.recording.manifest import image_fingerprint
from pathlens.runs import Run, find_run, runs_root
from pathlens.training.checkpoint import load_checkpoint, weights_hash
from pathlens.training.config import Config
from pathlens.training.evaluation import Evaluation, estimate_batch_norm, evaluate
from pathlens.training.loading import load_run
from pathlens.training.loop import Trainer
from pathlens.training.recipe import load_recipe

BN_IMAGES = 5_000
"""Training images whose mean and variance become the BN statistics of the finished network."""

Say = Callable[[str], None]


def train(
    model: str | None = None,
    data: str | Path | None = None,
    *,
    weights: str | Path | None = None,
    start_from: str | None = None,
    epochs: int | None = None,
    recipe: str = "short",
    macs: float | None = None,
    plain: bool = False,
    width: float = 1.0,
    image_size: int | None = None,
    batch_size: int | None = None,
    limit: int | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    run: str | None = None,
    seed: int = 0,
    data_seed: int = 0,
    device: str = "cpu",
    download: bool = False,
    progress: bool = True,
    say: Say | None = None,
) -> Run:
    """Train a decoupled network, or the plain one for comparison.

    The validation images that watch over training are taken from the training images; the test
    images are looked at once, at the end.

    Args:
        model: A CIFAR form, a torchvision network, or `package.module:function`.
        data: `scenes`, `scenes:shortcut`, `digits`, `cifar10`, `cifar100`, or an image folder.
        weights: Weight file to start from.
        start_from: Finished run to start from and, if the recipe says so, to learn from.
        epochs: Passes over the training images; the recipe's number if not given. 0 only measures.
        recipe: Name of a shipped recipe, or path of a TOML file.
        macs: Share of the plain network's multiply-adds to end with; the recipe's if not given.
        plain: Train without gates, on the same data and schedule.
        width: Factor on the numbers of filters of CIFAR forms.
        image_size: Height and width of the input in pixels; if not given, the size the images share
            (CIFAR forms, embedded data) or the size the network was made for.
        batch_size: Images a step; if not given, the recipe's number, or less for small sets. The
            learning rate is scaled with it.
        precision: "bfloat16" trains in mixed precision: faster where the processor has it. Weights,
            gates and losses stay in float32, and so does every measurement.
        limit: Number of training images to keep, class-balanced, by seed.
        run: Name of the run; an unfinished run of this name is resumed.
        seed: Seed of weights, order, augmentation and noise.
        data_seed: Seed of the validation split, of `limit` and of generated images.
        device: "cpu", "cuda", "cuda:1", "mps".
        download: Whether a data set that is not on disk may be fetched.
        progress: Whether to show progress bars.
        say: Called with each line for the user; print by default, nothing without progress.

    Returns:
        The finished run.

    Raises:
        PathLensError: On bad input, a full disk, or Ctrl-C (as `InterruptedTraining`).
    """
    say = say or (print if progress else lambda _: None)
    check_device(device)
    existing = _existing(run)
    if existing is not None and model is None and data is None:
        given = (weights, start_from, epochs, macs, image_size, batch_size, limit, plain or None)
        if (
            any(value is not None for value in given)
            or seed
            or data_seed
            or width != 1.0
            or recipe != "short"
            or precision != "float32"
        ):
            raise PathLensError(
                f"Run {existing.name} keeps the settings it was begun with: give --run alone (and "
                "--device), or its whole command."
            )
        config = Config.from_json(existing.config)
        if existing.finished:
            say(_finished(existing))
            return existing
        dataset = load_dataset(config.data, seed=config.data_seed, limit=config.limit)
    else:
        if model is None or data is None:
            raise PathLensError(
                "Training needs a MODEL and --data DATA (or --run of an unfinished run)."
            )
        dataset = load_dataset(str(data), seed=data_seed, limit=limit, download=download)
        chosen = load_recipe(recipe)
        chosen = chosen if macs is None else chosen.with_macs(macs)
        passes = chosen.epochs if epochs is None else epochs
        config = Config(
            model=model,
            width=width,
            data=resolve_spec(data),
            data_seed=data_seed,
            limit=limit,
            classes=dataset.classes,
            view=_view(model, dataset, image_size),
            weights=None if weights is None else str(Path(weights).resolve()),
            start_from=start_from,
            plain=plain,
            recipe=chosen,
            epochs=passes,
            batch_size=batch_size
            if batch_size is not None
            else chosen.batch_for(_count(dataset), passes),
            seed=seed,
            precision=precision,
            images=_fingerprint(dataset),
        )
    _check(config, dataset)
    if existing is not None:
        _same_settings(existing, config, dataset)
        if existing.finished:
            say(_finished(existing))
            return existing
    return _train(config, dataset, existing, run, device=device, progress=progress, say=say)


def _train(
    config: Config,
    dataset: Dataset,
    existing: Run | None,
    name: str | None,
    *,
    device: str,
    progress: bool,
    say: Say,
) -> Run:
    torch.manual_seed(config.seed)
    resumed = existing is not None and existing.checkpoint.exists()
    plain, teacher = _start(config, say, resumed=resumed)
    _check_scores(plain, config)
    network = config.decouple(plain)
    run = existing or _new_run(config, name)
    lock = FolderLock(run.folder / "training.lock", "--run") if existing else _claim(run, config)
    try:
        say(f"Resuming run {run.name}." if existing else f"Run {run.name} in {run.folder}.")
        return _train_locked(config, dataset, run, network, teacher, device, progress, say)
    finally:
        lock.release()


def _train_locked(
    config: Config,
    dataset: Dataset,
    run: Run,
    network: nn.Module,
    teacher: nn.Module | None,
    device: str,
    progress: bool,
    say: Say,
) -> Run:
    if isinstance(network, DecoupledNetwork):
        say(
            f"{len(network.layers)} layers with {network.layers.filters} filters are gated, "
            f"{len(network.not_gated)} convolutions are not (`pathlens layers` lists them)."
        )
    loaders = {
        split: ImageLoader(dataset.split(split), config.view)
        for split in ("train", "validation", "test")
    }
    trainer = Trainer(
        config,
        run,
        network,
        teacher,
        loaders["train"],
        loaders["validation"],
        device=device,
        progress=progress,
    )
    trainer.fit()
    _finish(config, trainer, loaders, say)
    return run


# ---------------------------------------------------------------------- before


def _existing(run: str | None) -> Run | None:
    if run is None:
        return None
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", run):
        raise PathLensError(
            f"'{run}' cannot be the name of a run: use letters, digits, dots, dashes and underscores."
        )
    return find_run(run) if (runs_root() / run / "config.json").is_file() else None


def _finished(run: Run) -> str:
    return f"Run {run.name} is finished already; give another --run to train anew."


def _count(dataset: Dataset) -> int:
    return len(dataset.splits.get("train", ()))


def _fingerprint(dataset: Dataset) -> str:
    """Fingerprint of the training images; "" where there are none to train on."""
    train = dataset.splits.get("train")
    return "" if train is None else image_fingerprint(train.ids, train.labels)


def _check(config: Config, dataset: Dataset) -> None:
    dataset.split("train")  # a flat folder without labels has none, and says so
    if len(config.classes) < 2:
        raise PathLensError(f"'{config.data}' has one class only: training needs at least two.")
    if config.epochs < 0 or config.batch_size < 2:
        raise PathLensError("--epochs must be 0 or more and --batch-size at least 2.")
    if config.start_from is not None and config.weights is not None:
        raise PathLensError("Give either --weights or --from, not both.")
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


def _check_scores(network: nn.Module, config: Config) -> None:
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


def _view(model: str, dataset: Dataset, size: int | None) -> View:
    if size is not None and size < 8:
        raise PathLensError(f"--image-size {size} is too small: give at least 8 pixels.")
    native = dataset.native_size
    if size is None:
        embedded = dataset.name in LOADERS
        keep_native = native is not None and (embedded or (is_cifar_form(model) and native <= 64))
        size = native if keep_native and native is not None else default_image_size(model)
    return View.of(size, native, mirror=dataset.mirrored)


def _start(config: Config, say: Say, *, resumed: bool) -> tuple[nn.Module, nn.Module | None]:
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
    say(f"Starts from run {source.run.name} and learns from it.")
    return plain, teacher


def _new_run(config: Config, name: str | None) -> Run:
    root = runs_root()
    if name is not None:
        return Run(root / name)
    data = re.sub(r"[^A-Za-z0-9]+", "-", Path(config.data).name).strip("-")
    model = re.sub(r"[^A-Za-z0-9]+", "-", config.model.rpartition(":")[2]).strip("-")
    base = f"{model}-{data}" + ("-plain" if config.plain else "")
    number, chosen = 1, base
    while (root / chosen).exists():
        number += 1
        chosen = f"{base}-{number}"
    return Run(root / chosen)


def _claim(run: Run, config: Config) -> FolderLock:
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


def _same_settings(run: Run, config: Config, dataset: Dataset) -> None:
    """Make sure that a run that is resumed is asked for what it was begun with."""
    earlier = Config.from_json(run.config)
    differs = [
        f.name for f in fields(Config) if getattr(earlier, f.name) != getattr(config, f.name)
    ]
    if earlier.images != _fingerprint(dataset):
        raise PathLensError(
            f"The training images of '{config.data}' are not those that run {run.name} was begun with: "
            "give another --run."
        )
    if differs:
        raise PathLensError(
            f"Run {run.name} was begun with other settings ({', '.join(differs)}): repeat its "
            f"command, resume it with `pathlens train --run {run.name}`, or give another --run."
        )


# ---------------------------------------------------------------------- after


def _finish(config: Config, trainer: Trainer, loaders: Mapping[str, ImageLoader], say: Say) -> None:
    """Keep the right weights, estimate BN statistics, measure once, write the result."""
    run, device = trainer.run, trainer.device
    # The layout in which the network will be loaded: the last float of a sum depends on it.
    network = trainer.network.to(memory_format=torch.contiguous_format)
    if trainer.history:
        trainer.write_history()  # a kill may have come between checkpoint and history
    if (run.folder / "best.pt").exists():
        network.load_state_dict(load_checkpoint(run.folder / "best.pt")["weights"])
    if config.epochs and isinstance(network, DecoupledNetwork):
        order = torch.randperm(
            len(loaders["train"].split), generator=torch.Generator().manual_seed(config.seed)
        ).tolist()
        chosen = order[:BN_IMAGES]
        estimate_batch_norm(network, loaders["train"], chosen, seed=config.seed, device=device)
    validation = evaluate(network, loaders["validation"], device=device)
    test = evaluate(network, loaders["test"], device=device)
    _write_result(config, trainer, validation, test)
    failed = {loaders[s].split.ids[i]: why for s in loaders for i, why in loaders[s].failed.items()}
    if failed:
        rows = [f"{_quoted(image)},{_quoted(reason)}" for image, reason in sorted(failed.items())]
        write_text(run.folder / "skipped.csv", "\n".join(["image,error", *rows]) + "\n")
        say(f"{len(failed)} images could not be read and were left out (see skipped.csv).")
    say(describe(config, validation, test))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""').replace("\n", " ") + '"'


def _write_result(
    config: Config, trainer: Trainer, validation: Evaluation, test: Evaluation
) -> None:
    weights = trainer.network.state_dict()
    trainer.save()
    result: dict[str, Any] = {
        "checkpoint": weights_hash(weights),
        "epochs": config.epochs,
        "validation": validation.to_json(),
        "test": test.to_json(),
    }
    if isinstance(trainer.network, DecoupledNetwork):
        result["macs_dense"] = trainer.network.cost.dense
        result["macs_gating"] = trainer.network.cost.gating
    (trainer.run.folder / "best.pt").unlink(missing_ok=True)
    # The last file to be written: its existence says that the run is finished.
    write_json(trainer.run.folder / "result.json", result)


def describe(config: Config, validation: Evaluation, test: Evaluation) -> str:
    """One line about a finished run."""
    line = (
        f"Accuracy {test.accuracy:.2%} on {test.images:,} test images "
        f"({validation.accuracy:.2%} on {validation.images:,} validation images)"
    )
    if config.plain:
        return line + ", plain network."
    return (
        line
        + f"; gate density {test.density:.1%}; MACs {test.macs_share:.1%} of the plain network's."
    )
