"""The first gates of a training: a start from responses needs images, so it is made here."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pathlens.datasets.loader import ImageLoader, augment, normalise
from pathlens.decoupling import DecoupledNetwork, start_from_responses
from pathlens.training.config import Config

IMAGES = 5_000
"""Training images to which the gating modules are fitted."""

_BATCH = 250


def start_gates(
    network: nn.Module,
    loader: ImageLoader,
    config: Config,
    *,
    device: str = "cpu",
    progress: bool = False,
) -> None:
    """Give the gating modules their first weights, if the recipe starts them from responses.

    A network that starts from scratch has no responses worth predicting: its gates start open.

    Args:
        network: Changed in place; a plain one is left as it is.
        loader: Training images, which are augmented as in training.
        config: What was asked for; its seed decides images, crops and the batches of the fit.
        device: Where the network is.
        progress: Whether to show it.
    """
    trained = config.weights is not None or config.start_from is not None
    wanted = config.recipe.gating.start == "responses"
    if trained and wanted and isinstance(network, DecoupledNetwork):
        batches = _batches(loader, config.seed, device)
        start_from_responses(network, batches, seed=config.seed, progress=progress)


def _batches(loader: ImageLoader, seed: int, device: str) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(loader.split), generator=generator)[:IMAGES].tolist()
    plan = [order[i : i + _BATCH] for i in range(0, len(order), _BATCH)]
    for batch in loader.batches(plan):
        if len(batch.positions):
            x = normalise(augment(batch.canvas, loader.view, generator).to(device))
            yield x.contiguous(memory_format=torch.channels_last)
