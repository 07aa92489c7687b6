"""What gated filters put out: its mean over images, and a network in which some put that out always."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pathlens.decoupling.layout import GatedConv
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.decoupling.passing import Hook

_KEEPS_ITS_RANGE = ("relu", "relu_", "hardtanh", "hardtanh_")
"""Activations that leave alone whatever came out of them before, and so their means too."""


class Outputs:
    """Means of the gated outputs of some layers, gathered while a network runs.

    Where a ReLU (or a clamp) follows the gate directly, the mean is that of what it lets pass, as the
    next convolution reads it; else of the gated output itself.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._images = 0

    def add(self, conv: GatedConv, output: Tensor) -> None:
        """Count the gated output of one layer for one batch."""
        passed = _passed(conv, output).double()
        positions = [dim for dim in range(1, output.dim()) if dim != conv.dim]
        total = passed.mean(dim=positions).sum(dim=0).cpu()
        self._sums[conv.layer.name] = self._sums.get(conv.layer.name, 0) + total

    def means(self, images: int) -> dict[str, Tensor]:
        """Layer name to the mean over images and places, float64 (filters,).

        Args:
            images: Number of images that were run.
        """
        return {name: total / images for name, total in self._sums.items()}


@contextmanager
def gathering(network: DecoupledNetwork) -> Iterator[Outputs]:
    """Gather the gated outputs of all layers of what runs inside."""
    outputs = Outputs()

    def gather(conv: GatedConv) -> Callable[..., None]:
        return lambda module, args, output: outputs.add(conv, output)

    with _hooked(network, gather):
        yield outputs


@contextmanager
def replaced(
    network: DecoupledNetwork, values: Mapping[str, tuple[Tensor, Tensor]]
) -> Iterator[None]:
    """Let some filters put out one value, at every place and for every image, whatever their gates say.

    Args:
        network: The network.
        values: Layer name to filters, int64 (n,), and what each puts out, (n,).
    """

    def replace(conv: GatedConv) -> Callable[..., Tensor] | None:
        if conv.layer.name not in values:
            return None
        filters, levels = values[conv.layer.name]
        return lambda module, args, output: _filled(conv, output, filters, levels)

    with _hooked(network, replace):
        yield


def _filled(conv: GatedConv, output: Tensor, filters: Tensor, levels: Tensor) -> Tensor:
    filled = output.clone()
    channels_last = filled.movedim(conv.dim, -1)
    channels_last[..., filters.to(output.device)] = levels.to(output)
    return filled


def _passed(conv: GatedConv, output: Tensor) -> Tensor:
    if conv.activation not in _KEEPS_ITS_RANGE:
        return output
    operator: Callable[..., Tensor] = getattr(torch.ops.aten, conv.activation.rstrip("_"))
    return operator(output, *conv.activation_args)


@contextmanager
def _hooked(
    network: DecoupledNetwork, make: Callable[[GatedConv], Callable[..., Any] | None]
) -> Iterator[None]:
    """Hooks behind those that apply the gates, as hooks run in the order of their registration."""
    handles = []
    try:
        for module, conv in _gated(network):
            hook = make(conv)
            if hook is not None:
                handles.append(module.register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _gated(network: DecoupledNetwork) -> list[tuple[nn.Module, GatedConv]]:
    """The modules whose outputs are multiplied by gates."""
    found = []
    for module in network.model.modules():
        hooks: list[Any] = list(module._forward_hooks.values())
        found += [(module, hook.conv) for hook in hooks if isinstance(hook, Hook)]
    return found
