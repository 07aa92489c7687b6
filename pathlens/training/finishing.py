"""After a training: the right weights, BN statistics, one look at the test images, the result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from pathlens.datasets.loader import ImageLoader
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.files import write_json, write_text
from pathlens.runs import Run
from pathlens.training.checkpoint import load_checkpoint, weights_hash
from pathlens.training.config import Config
from pathlens.training.evaluation import Evaluation, estimate_batch_norm, evaluate
from pathlens.training.loop import Trainer
from pathlens.training.preparing import Say

BN_IMAGES = 5_000
"""Training images whose mean and variance become the BN statistics of the finished network."""


def finish(config: Config, trainer: Trainer, loaders: Mapping[str, ImageLoader], say: Say) -> None:
    """Keep the right weights, estimate BN statistics, measure once, write the result."""
    run, device, world = trainer.run, trainer.device, trainer.world
    # The layout in which the network will be loaded: the last float of a sum depends on it.
    network = trainer.network.to(memory_format=torch.contiguous_format)
    if trainer.history:
        trainer.write_history()  # a kill may have come between checkpoint and history
    if world.leads:
        if (run.folder / "best.pt").exists():
            network.load_state_dict(load_checkpoint(run.folder / "best.pt")["weights"])
        if config.epochs and not config.recipe.optimiser.freeze_batch_norm:
            _estimate(config, network, loaders["train"], device)
    world.copy_from_leader(network)
    say("Measuring validation and test images …")
    validation = evaluate(network, loaders["validation"], device=device, world=world)
    test = evaluate(network, loaders["test"], device=device, world=world)
    failed = {loaders[s].split.ids[i]: why for s in loaders for i, why in loaders[s].failed.items()}
    failed = world.union(failed)
    if world.leads:
        if failed:
            _write_skipped(run, failed)
            say(
                f"Images that could not be read and were left out: {len(failed)} (first: "
                f"{min(failed)}); {run.folder / 'skipped.csv'} lists them."
            )
        _write_result(config, trainer, validation, test)
    say(describe(config, validation, test))
    if unlearnt := not_learnt(test, len(config.classes)):
        say(unlearnt)


def not_learnt(test: Evaluation, classes: int) -> str:
    """What to say of a network that knows no more than one that guesses; "" of others."""
    guessing = math.log(max(2, classes))
    if test.loss < guessing:
        return ""
    return (
        f"It has not learnt: its loss on test images is {test.loss:.3g}, where guessing has "
        f"{guessing:.2f}. Train for more epochs, start from pretrained weights, or lower the lr of the "
        "recipe."
    )


def _estimate(config: Config, network: nn.Module, train: ImageLoader, device: str) -> None:
    if not isinstance(network, DecoupledNetwork):
        return
    generator = torch.Generator().manual_seed(config.seed)
    chosen = torch.randperm(len(train.split), generator=generator).tolist()[:BN_IMAGES]
    estimate_batch_norm(network, train, chosen, seed=config.seed, device=device)


def _write_skipped(run: Run, failed: Mapping[str, str]) -> None:
    rows = [f"{_quoted(image)},{_quoted(reason)}" for image, reason in sorted(failed.items())]
    write_text(run.folder / "skipped.csv", "\n".join(["image,error", *rows]) + "\n")


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
    if config.unapplied:
        return line + f", gates not applied; {test.density:.1%} of them would be on."
    return (
        line
        + f"; gate density {test.density:.1%}; MACs {test.macs_share:.1%} of the plain network's."
    )
