"""A start from responses: gating modules that predict, from a layer's input, how strong its filters are.

Gates that start by chance first break the network and then have to learn, through the noise of the
hash, which filters an image needs. The plain network knows already: filters that respond weakly to an
image are missed least. So each gating module is fitted, before training, to the root mean square of
the filters' ungated outputs, image by image, and a filter is on where its prediction exceeds a threshold
of the layer. It is the aim of the alignment loss of Li et al. (arXiv 1906.01166), met before the
first step; the saliency predictor of FBS (Gao et al., arXiv 1810.05331) learns the same in training.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from pathlens.decoupling.network import DecoupledNetwork
from pathlens.progress import progress_bar


@torch.no_grad()
def start_from_responses(
    network: DecoupledNetwork,
    batches: Iterable[Tensor],
    *,
    seed: int = 0,
    progress: bool = False,
) -> None:
    """Fit all gating modules to the responses of the network with all gates on.

    Args:
        network: Changed in place, but for the wrapped model; left in the mode it was in.
        batches: Images (N, C, H, W) as the network takes them, some thousands in all.
        seed: Draws the batches of the fit; the same seed gives the same gates.
        progress: Whether to show it: on small sets this takes longer than an epoch.

    Raises:
        ValueError: If there are fewer than two images.
    """
    names = network.layers.names
    pooled: dict[str, list[Tensor]] = {name: [] for name in names}
    strength: dict[str, list[Tensor]] = {name: [] for name in names}
    hooks = [
        network.gating_module(name).register_forward_pre_hook(_Keep(pooled[name])) for name in names
    ]
    modes = {each: each.training for each in network.modules()}
    network.eval()
    try:
        for images in progress_bar(batches, desc="responses", unit=" batches", shown=progress):
            _, path = network.with_path(images, force={"*": 1.0}, magnitudes=True)
            for name in names:
                strength[name].append(path.magnitudes[name])
    finally:
        for hook in hooks:
            hook.remove()
    if sum(map(len, pooled[names[0]])) < 2:
        raise ValueError("a start from responses needs at least two images")
    generator = torch.Generator().manual_seed(seed)
    for name in progress_bar(names, desc="first gates", unit=" layers", shown=progress):
        module = network.gating_module(name)
        module.fit(torch.cat(pooled[name]), torch.cat(strength[name]), generator)
    for each, mode in modes.items():
        each.training = mode


class _Keep:
    """Keeps the pooled inputs of a gating module."""

    def __init__(self, kept: list[Tensor]) -> None:
        self.kept = kept

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        self.kept.append(module.pool(args[0]))  # type: ignore[operator]
