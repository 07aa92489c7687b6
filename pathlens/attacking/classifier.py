"""A trained network as a classifier of images in [0, 1], as attacks want it."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn

from pathlens.datasets.loader import MEAN, STD
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.errors import PathLensError
from pathlens.training.evaluation import in_batches, scores_of
from pathlens.training.loading import LoadedRun

Gates = Literal["hard", "straight-through", "soft"]

GRADIENT_GATES = ("straight-through", "soft", "hard")
"""Gates while gradients are taken: straight-through decides as hard gates do and has the gradient of
soft ones; soft gates decide otherwise than the network that is attacked; hard gates have the network's
own gradient, which comes through the responses alone."""


class ImageClassifier(nn.Module):
    """Class scores of images in [0, 1], with the normalisation inside, in eval mode.

    The network's weights are borrowed, not copied, and ask for no gradient from here on.

    Args:
        network: A trained network, decoupled or plain.
        gates: How a decoupled network decides its gates; of no meaning for a plain one.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, gates: Gates = "hard") -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.gates = gates
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (N, classes) of images (N, 3, H, W) in [0, 1]."""
        x = (images - self.mean) / self.std
        if isinstance(self.network, DecoupledNetwork):
            return scores_of(self.network.with_path(x, gates=self.gates, responses=False)[0])
        return scores_of(self.network(x))

    def hardened(self) -> ImageClassifier:
        """The same network with hard gates."""
        return ImageClassifier(self.network, "hard").to(self.mean.device)

    @torch.no_grad()
    def predict(self, pixels: Tensor, batch_size: int = 128) -> Tensor:
        """Predicted classes, int64 (N,) on the CPU, of 8-bit images (N, 3, H, W)."""
        device = self.mean.device
        found = [
            self(in_unit_range(pixels[batch].to(device))).argmax(1).cpu()
            for batch in in_batches(range(len(pixels)), batch_size)
        ]
        return torch.cat(found) if found else torch.empty(0, dtype=torch.int64)


def in_unit_range(pixels: Tensor) -> Tensor:
    """8-bit values as float32 in [0, 1]."""
    return pixels.float() / 255


def gradient_classifier(loaded: LoadedRun, gates: str | None) -> ImageClassifier:
    """The classifier whose gradients an attack follows.

    Args:
        loaded: The run that is attacked, or from which an attack is transferred.
        gates: One of `GRADIENT_GATES`; None for straight-through, or for a plain network.

    Raises:
        PathLensError: If there are no such gates, or the network has none.
    """
    if gates is not None and gates not in GRADIENT_GATES:
        raise PathLensError(f"There are no gates '{gates}': choose {', '.join(GRADIENT_GATES)}.")
    if gates is not None and not isinstance(loaded.network, DecoupledNetwork):
        raise PathLensError(
            f"Run {loaded.run.name} is a plain network and has no gates: leave gates='{gates}' out."
        )
    return ImageClassifier(loaded.network, _known(gates))


def _known(gates: str | None) -> Gates:
    for known in ("soft", "hard"):
        if gates == known:
            return cast(Gates, known)
    return "straight-through"
