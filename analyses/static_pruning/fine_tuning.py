"""Fine-tuning a pruned network with the settings of the decoupled one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from planning import Rival, Set, first_network
from pruning import of_shapes, pruned
from torch import nn

from pathlens.datasets.loader import ImageLoader
from pathlens.lock import FolderLock
from pathlens.runs import Run
from pathlens.training import load_run
from pathlens.training.checkpoint import load_checkpoint, save_checkpoint
from pathlens.training.config import Config
from pathlens.training.finishing import finish
from pathlens.training.loop import Trainer
from pathlens.training.preparing import claim


def fine_tuned(
    one: Set,
    rival: Rival,
    work: Path,
    *,
    first: Path,
    limit: int | None = None,
    epochs: int | None = None,
) -> Run:
    """The run of a rival: pruned, then trained, or gone on with where it was interrupted.

    Args:
        one: Its set.
        rival: Which.
        work: Folder of what is pruned.
        first: Folder of the runs that the decoupled networks started from.
        limit: Training images, if not all.
        epochs: Passes over them, if not as many as the decoupled network had.
    """
    run = Run(work / "pruned" / rival.name)
    if run.finished:
        return run
    source = first_network(one, first) if rival.start == "same" else one.plain
    config = replace(one.config(limit, epochs), start_from=source.name)
    data = one.dataset(config)
    loaders = {s: ImageLoader(data.split(s), config.view) for s in ("train", "validation", "test")}
    teacher = load_run(source).network.requires_grad_(False)
    lock = claim_again(run, config)
    try:
        network = _narrow(run, teacher, rival, config, loaders["train"])
        trainer = Trainer(config, run, network, teacher, loaders["train"], loaders["validation"])
        trainer.fit()
        finish(config, trainer, loaders, print)
    finally:
        lock.release()
    return run


def claim_again(run: Run, config: Config) -> FolderLock:
    """Lock the run's folder, whether it was begun before or not.

    Raises:
        ValueError: If it was begun with other settings.
    """
    if (run.folder / "config.json").exists() and Config.from_json(run.config) != config:
        raise ValueError(f"{run.folder} was begun with other settings: give another WORK folder")
    return claim(run, config)


def _narrow(
    run: Run, plain: nn.Module, rival: Rival, config: Config, train: ImageLoader
) -> nn.Module:
    """The pruned network before its fine-tuning; pruned once only, as gradients cost time."""
    file = run.folder / "pruned.pt"
    if not file.exists():
        network = pruned(plain, rival.pruning, rival.share, train)
        save_checkpoint(file, {"weights": network.state_dict()})
    return of_shapes(config.build(), load_checkpoint(file)["weights"])


def load_pruned(run: Run) -> nn.Module:
    """The fine-tuned network, in eval mode."""
    weights = load_checkpoint(run.checkpoint)["weights"]
    return of_shapes(Config.from_json(run.config).build(), weights).eval().requires_grad_(False)
