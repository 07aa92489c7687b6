"""Static pruning with torch-pruning, and what is left as a network without it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pathlens.datasets.loader import ImageLoader, centre, normalise

STEPS = 400
"""Steps in which torch-pruning goes from all filters to none; it stops at the share asked for."""

ROUND = 8
"""Numbers of filters are multiples of this, which the processor's vectors hold: a tenth faster here."""

FRESH = 10
"""Steps after which gradients are taken anew."""

_BATCHES, _BATCH = 4, 64


def macs(network: nn.Module, size: int) -> int:
    """Multiply-adds for one image of `size` px."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, size, size))
    return int(counter.get_total_flops()) // 2


def pruned(network: nn.Module, pruning: str, share: float, loader: ImageLoader) -> nn.Module:
    """A copy of a network, pruned until it has at most a share of its multiply-adds.

    Args:
        network: The plain network; the convolution that gives class scores keeps its filters.
        pruning: "magnitude" or "taylor", the same share of every layer, or "global-" and one of them.
        share: Share of multiply-adds; 1 for a copy with all filters.
        loader: Training images, for the gradients of "taylor".
    """
    found = copy.deepcopy(network).eval().requires_grad_(True)
    if share >= 1:
        return found
    size = loader.view.size
    most = share * macs(network, size)
    pruner = _pruner(found, pruning, size)
    data = _some(loader) if "taylor" in pruning else []
    for step in range(STEPS):
        if macs(found, size) <= most:
            break
        if data and step % FRESH == 0:
            _take_gradients(found, data)
        pruner.step()
    found.zero_grad(set_to_none=True)
    return found


def _pruner(network: nn.Module, pruning: str, size: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch_pruning

    importance = {
        "magnitude": torch_pruning.importance.GroupMagnitudeImportance,
        "taylor": torch_pruning.importance.GroupTaylorImportance,
    }[pruning.removeprefix("global-")]
    last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
    return torch_pruning.pruner.BasePruner(
        network,
        torch.zeros(1, 3, size, size),
        importance=importance(),
        global_pruning=pruning.startswith("global-"),
        pruning_ratio=1.0,
        iterative_steps=STEPS,
        round_to=ROUND,
        ignored_layers=[last],
    )


def _some(loader: ImageLoader) -> list[tuple[Tensor, Tensor]]:
    """Training images that gradients are taken on, with their labels."""
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(loader.split), generator=generator)[: _BATCHES * _BATCH].tolist()
    labels = loader.split.labels
    batches = loader.batches(order[i : i + _BATCH] for i in range(0, len(order), _BATCH))
    return [
        (normalise(centre(b.canvas, loader.view)), torch.from_numpy(labels[b.positions]))
        for b in batches
    ]


def _take_gradients(network: nn.Module, data: Sequence[tuple[Tensor, Tensor]]) -> None:
    network.zero_grad(set_to_none=True)
    for x, labels in data:
        nn.functional.cross_entropy(network(x), labels).backward()


def of_shapes(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network with its convolutions as narrow as these weights, which are loaded."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight = nn.Parameter(torch.empty_like(weights[f"{name}.weight"]))
            module.bias = nn.Parameter(torch.empty(len(weight)))
            module.out_channels, module.in_channels = weight.shape[:2]
    network.load_state_dict(weights)
    return network
