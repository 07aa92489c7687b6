"""Reading weight files of every common shape into a network, safely."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pathlens.errors import PathLensError


@dataclass(frozen=True)
class WeightReport:
    """What a weight file brought.

    Attributes:
        loaded: Number of tensors that were loaded.
        replaced: Names of the classifier's tensors, of another size in the file and left untrained.
        missing: Names that the network has and the file lacks.
        unexpected: Names that the file has and the network lacks.
    """

    loaded: int
    replaced: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    def describe(self) -> str:
        """One line for the terminal."""
        parts = [f"{self.loaded} tensors loaded"]
        if self.replaced:
            parts.append(f"classifier replaced ({', '.join(self.replaced)})")
        if self.missing:
            parts.append(f"not in the file: {_few(self.missing)}")
        if self.unexpected:
            parts.append(f"not in the network: {_few(self.unexpected)}")
        return "; ".join(parts)


def read_weights(source: Path) -> dict[str, Tensor]:
    """Read a state dict: plain, under `state_dict`, or one of our checkpoints; `module.` removed.

    Raises:
        PathLensError: If the file is missing, damaged, or holds no weights.
    """
    if not source.is_file():
        what = "is a folder, not a weight file" if source.is_dir() else "is not there"
        raise PathLensError(f"The weight file {source} {what}: give the path of a file.")
    try:
        content: Any = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        raise PathLensError(
            f"{source} cannot be read as weights: it is damaged, or holds more than tensors "
            f"({type(error).__name__}). Save a state dict with torch.save(model.state_dict(), file)."
        ) from error
    for key in ("weights", "state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    tensors = (
        {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
        if isinstance(content, dict)
        else {}
    )
    if not tensors:
        raise PathLensError(f"{source} holds no weights: a dictionary of tensors was expected.")
    if all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def load_weights(network: nn.Module, source: Path) -> WeightReport:
    """Load a weight file into `network`.

    A classifier of another size is left as it is and reported; our own decoupled checkpoints give
    their plain network.

    Raises:
        PathLensError: If the file cannot be read, or its weights do not fit the network.
    """
    given = read_weights(source)
    own = network.state_dict()
    if all(name.startswith(("gating.", "model.")) for name in given):
        given = {n.removeprefix("model."): t for n, t in given.items() if n.startswith("model.")}
    wrong = [n for n, t in given.items() if n in own and own[n].shape != t.shape]
    replaced = tuple(name for name in wrong if name in classifier_parameters(network))
    others = [name for name in wrong if name not in replaced]
    # Batch counters are no weights, and old files lack them.
    missing = tuple(n for n in own if n not in given and not n.endswith("num_batches_tracked"))
    unexpected = tuple(name for name in given if name not in own)
    loaded = [n for n in given if n in own and n not in wrong]
    if others or not loaded or len(missing) > len(loaded):
        shapes = [f"{n} is {tuple(given[n].shape)}, not {tuple(own[n].shape)}" for n in others]
        details = "; ".join(
            part
            for part in (
                _few(tuple(shapes)),
                f"missing: {_few(missing)}" if missing else "",
                f"unknown: {_few(unexpected)}" if unexpected else "",
            )
            if part
        )
        raise PathLensError(f"{source} does not fit the network ({details}): is it another model?")
    network.load_state_dict({name: given[name] for name in loaded}, strict=False)
    return WeightReport(len(loaded), replaced, missing, unexpected)


def classifier_parameters(network: nn.Module) -> set[str]:
    """Names of the parameters of the last layer with weights, and of auxiliary classifiers."""
    layers = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    if not layers:
        return set()
    last = [name for name, _ in layers[-1:]]
    last += [name for name, m in layers if "aux" in name.lower() and isinstance(m, nn.Linear)]
    return {f"{name}.{kind}" for name in last for kind in ("weight", "bias")}


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
