"""`train()`: from a pretrained network and images to a decoupled network in a run folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from pathlens.analysis.results import plural
from pathlens.datasets import Dataset, load_dataset
from pathlens.datasets.loader import ImageLoader
from pathlens.datasets.registry import resolve_spec
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.devices import check_device
from pathlens.errors import PathLensError
from pathlens.lock import FolderLock
from pathlens.runs import Run
from pathlens.training.compiling import check_compiler
from pathlens.training.config import Config
from pathlens.training.density import Density
from pathlens.training.distributed import World, joined
from pathlens.training.finishing import finish
from pathlens.training.history import check_tensorboard
from pathlens.training.loop import Trainer
from pathlens.training.preparing import (
    Say,
    attribute_fingerprint,
    check,
    check_same_settings,
    check_scores,
    claim,
    existing_run,
    fingerprint,
    finished_line,
    new_run,
    starting_networks,
    training_images,
    view_of,
)
from pathlens.training.recipe import load_recipe
from pathlens.training.starting import start_gates


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
    unapplied: bool = False,
    width: float = 1.0,
    image_size: int | None = None,
    batch_size: int | None = None,
    limit: int | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    compile: bool = False,
    run: str | None = None,
    seed: int = 0,
    data_seed: int = 0,
    device: str = "cpu",
    download: bool = False,
    tensorboard: bool = False,
    progress: bool = True,
    say: Say | None = None,
) -> Run:
    """Train a decoupled network, or the plain one for comparison.

    The validation images that watch over training are taken from the training images; the test
    images are looked at once, at the end.

    Where `torchrun` has started several processes they train one network together: see
    `pathlens.training.distributed`.

    Args:
        model: A CIFAR form, a torchvision network, or `package.module:function`.
        data: `scenes`, `scenes:shortcut`, `digits`, `cifar10`, `cifar100`, or an image folder.
        weights: Weight file to start from.
        start_from: Finished run to start from and, if the recipe says so, to learn from.
        epochs: Passes over the training images; the recipe's number if not given. 0 only measures.
        recipe: Name of a shipped recipe, or path of a TOML file.
        macs: Share of the plain network's multiply-adds to end with; the recipe's if not given.
        plain: Train without gates, on the same data and schedule.
        unapplied: Train gating modules with the same losses beside the plain network of the run
            `start_from`, which stays as it is, and never apply them: a baseline for paths, as it
            shows what the gates would be without routing anything.
        width: Factor on the numbers of filters of CIFAR forms.
        image_size: Height and width of the input in pixels; if not given, the size the images share
            (CIFAR forms, embedded data) or the size the network was made for.
        batch_size: Images a step; if not given, the recipe's number, or less for small sets. The
            learning rate is scaled with it.
        precision: "bfloat16" trains in mixed precision: faster where the processor has it. Weights,
            gates and losses stay in float32, and so does every measurement.
        compile: Whether training steps run through `torch.compile`. A resumed run then follows the
            uninterrupted one closely, but not to the last bit.
        limit: Number of training images to keep, class-balanced, by seed.
        run: Name of the run; an unfinished run of this name is resumed.
        seed: Seed of weights, order, augmentation and noise.
        data_seed: Seed of the validation split, of `limit` and of generated images.
        device: "cpu", "cuda", "cuda:1", "mps".
        download: Whether a data set that is not on disk may be fetched.
        tensorboard: Whether to write the history for TensorBoard too, in the run's folder.
        progress: Whether to show progress bars.
        say: Called with each line for the user; print by default, nothing without progress.

    Returns:
        The finished run.

    Raises:
        PathLensError: On bad input, a full disk, or Ctrl-C (as `InterruptedTraining`).
    """
    check_device(device)
    with joined(device) as world:
        said = (say or (print if progress else _silent)) if world.leads else _silent
        session = _Session(world, said, progress, tensorboard)
        existing = existing_run(run)
        if existing is not None and model is None and data is None:
            given = (weights, start_from, epochs, macs, image_size, batch_size, limit)
            if (
                any(value is not None for value in given)
                or (plain, unapplied, compile, seed, data_seed) != (False, False, False, 0, 0)
                or (width, recipe, precision) != (1.0, "short", "float32")
            ):
                raise PathLensError(
                    f"Run {existing.name} keeps the settings it was begun with: give --run alone (and "
                    "--device), or its whole command."
                )
            config = Config.from_json(existing.config)
            if existing.finished:
                said(finished_line(existing))
                return existing
            with world.leader_first():
                dataset = load_dataset(config.data, seed=config.data_seed, limit=config.limit)
        else:
            if model is None or data is None:
                raise PathLensError(
                    "Training needs a MODEL and --data DATA (or --run of an unfinished run)."
                )
            with world.leader_first():
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
                view=view_of(model, dataset, image_size),
                weights=None if weights is None else str(Path(weights).resolve()),
                start_from=start_from,
                plain=plain,
                recipe=chosen,
                epochs=passes,
                batch_size=batch_size
                if batch_size is not None
                else chosen.batch_for(training_images(dataset), passes),
                seed=seed,
                precision=precision,
                images=fingerprint(dataset),
                unapplied=unapplied,
                compile=compile,
            )
        check(config, dataset)
        config = replace(config, attribute=attribute_fingerprint(config, dataset))
        if existing is not None:
            check_same_settings(existing, config, dataset)
            if existing.finished:
                said(finished_line(existing))
                return existing
        return _train(config, dataset, existing, run, session)


def _silent(_: str) -> None:
    pass


@dataclass(frozen=True)
class _Session:
    """How a training is run, as opposed to what is trained.

    Attributes:
        world: The processes that train together, and the device of this one.
        say: Called with each line for the user.
        progress: Whether to show progress bars.
        tensorboard: Whether to write event files.
    """

    world: World
    say: Say
    progress: bool
    tensorboard: bool


def _train(
    config: Config, dataset: Dataset, existing: Run | None, name: str | None, session: _Session
) -> Run:
    world, say = session.world, session.say
    if config.compile:
        check_compiler(world.device)
    if session.tensorboard:
        check_tensorboard()
    torch.manual_seed(config.seed)
    resumed = existing is not None and existing.checkpoint.exists()
    plain, teacher = starting_networks(config, say, resumed=resumed)
    check_scores(plain, config)
    network = config.decouple(plain)
    Density.of(config.recipe.losses, network)  # a budget that cannot be met leaves no run
    # The first free name, as process 0 sees it.
    run = existing or Run(world.from_leader(new_run(config, name).folder))
    if not world.leads:
        return _train_locked(config, dataset, run, network, teacher, session)
    lock = FolderLock(run.folder / "training.lock", "--run") if existing else claim(run, config)
    try:
        say(f"Resuming run {run.name}." if existing else f"Run {run.name} in {run.folder}.")
        return _train_locked(config, dataset, run, network, teacher, session)
    finally:
        lock.release()


def _train_locked(
    config: Config,
    dataset: Dataset,
    run: Run,
    network: nn.Module,
    teacher: nn.Module | None,
    session: _Session,
) -> Run:
    if isinstance(network, DecoupledNetwork):
        session.say(
            f"{len(network.layers)} layers with {network.layers.filters} filters are gated, "
            f"{len(network.not_gated)} convolutions are not (`pathlens layers` lists them)."
        )
    session.say(
        f"Images are shown at {config.view.size} px, {config.batch_size} at a time, for "
        f"{plural(config.epochs, 'epoch')}."
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
        progress=session.progress,
        tensorboard=session.tensorboard,
        world=session.world,
    )
    if not run.checkpoint.exists():
        start_gates(
            network,
            loaders["train"],
            config,
            device=session.world.device,
            progress=session.progress and session.world.leads,
        )
    trainer.fit()
    finish(config, trainer, loaders, session.say)
    return run
