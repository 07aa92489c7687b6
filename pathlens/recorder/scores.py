"""The real-valued scores that a baseline's bits are made from.

`response`: the pooled response of the same filter in the plain network. `random`: a seeded Gaussian
projection of the layer's pooled input, standardised. `unapplied`: the logits of gating modules that
were trained beside the plain network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pathlens.decoupling import Constant, DecoupledNetwork, Path, decouple
from pathlens.layers import Layer
from pathlens.recorder.thresholds import Numbers

KINDS = ("response", "random", "unapplied")
"""The kinds of baselines."""

Raw = npt.NDArray[np.float32]
"""What is read of the network for one layer: (images, values)."""


def hosted(plain: nn.Module, size: int) -> DecoupledNetwork:
    """A plain network in a form that tells its layers' inputs and responses, none of them gated."""
    network = decouple(plain, torch.zeros(1, 3, size, size), gating=Constant())
    network.applied = False
    return network.eval()


def read(
    network: DecoupledNetwork, kind: str, x: Tensor, *, responses: bool = False
) -> tuple[Any, Path, dict[str, Raw]]:
    """Run a batch and read what the scores of every layer are made from.

    Args:
        network: One whose gates are not applied.
        kind: Some of `KINDS`.
        x: Images (N, C, H, W).
        responses: Whether the path must carry responses, whatever the kind.

    Returns:
        The output, the path, and by layer name: responses (N, filters), pooled inputs
        (N, in_channels), or logits (N, filters).
    """
    watched: AbstractContextManager[dict[str, Tensor]] = (
        _pooled_inputs(network) if kind == "random" else nullcontext({})
    )
    with watched as pooled:
        output, path = network.with_path(x, gates="hard", responses=responses or kind == "response")
    found: Mapping[str, Tensor] = {
        "response": path.responses,
        "random": pooled,
        "unapplied": path.logits,
    }[kind]
    return output, path, {name: found[name].float().cpu().numpy() for name in network.layers.names}


def statistics(raw: Raw) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of every column; 1 for the deviation of a constant one."""
    mean, deviation = raw.mean(axis=0, dtype=np.float64), raw.std(axis=0, dtype=np.float64)
    return mean, np.where((raw == raw[:1]).all(axis=0), 1.0, deviation)


def projected(raw: Raw, layer: Layer, seed: int, mean: Numbers, deviation: Numbers) -> Raw:
    """Scores (images, filters): the standardised raw values times a standard normal matrix.

    Args:
        raw: Pooled inputs (images, in_channels).
        layer: Its number and size; each layer has its own matrix.
        seed: Draws the matrix.
        mean: (in_channels,).
        deviation: (in_channels,).
    """
    drawn = np.random.default_rng([seed, layer.index]).standard_normal(
        (layer.in_channels, layer.filters)
    )
    scores: Raw = (((raw - mean) / deviation) @ drawn).astype(np.float32)
    return scores


@contextmanager
def _pooled_inputs(network: DecoupledNetwork) -> Iterator[dict[str, Tensor]]:
    """The global average of every layer's input, (N, in_channels), once a batch has run."""
    pooled: dict[str, Tensor] = {}

    def keeping(name: str) -> Any:
        def keep(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            pooled[name] = args[0].mean(dim=(2, 3))

        return keep

    hooks = [
        network.gating_module(name).register_forward_pre_hook(keeping(name))
        for name in network.layers.names
    ]
    try:
        yield pooled
    finally:
        for hook in hooks:
            hook.remove()
