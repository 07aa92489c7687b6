"""From a run on disk back to its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from pathlens.errors import PathLensError
from pathlens.runs import Run, find_run
from pathlens.training.checkpoint import load_checkpoint, weights_hash
from pathlens.training.config import Config


@dataclass(frozen=True)
class LoadedRun:
    """A trained network with all that is known about it.

    Attributes:
        run: Its folder.
        config: What it was asked for.
        network: The network, on the CPU, in eval mode; a `DecoupledNetwork` unless the run is plain.
        checkpoint: SHA-256 of its weights.
        trained: Whether training has finished.
    """

    run: Run
    config: Config
    network: nn.Module
    checkpoint: str
    trained: bool


def load_run(run: str | Path | Run | None = None) -> LoadedRun:
    """Load a run by name or path, or the newest for None.

    Raises:
        PathLensError: If there is no such run, or its checkpoint is missing or damaged.
    """
    found = run if isinstance(run, Run) else find_run(run)
    config = Config.from_json(found.config)
    network = config.decouple(config.build())
    weights = load_checkpoint(found.checkpoint)["weights"]
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise PathLensError(
            f"The checkpoint of run {found.name} does not fit its config.json: has the model's code "
            "changed since? Train again."
        ) from error
    return LoadedRun(found, config, network.eval(), weights_hash(weights), found.finished)


def load(run: str | Path | Run | None = None) -> nn.Module:
    """Load the network of a run by name or path, or of the newest for None.

    Returns:
        The network in eval mode, on the CPU; a `DecoupledNetwork` unless the run is plain.

    Raises:
        PathLensError: If there is no such run, or its checkpoint is missing or damaged.
    """
    return load_run(run).network
