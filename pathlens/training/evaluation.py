"""Measuring a network on a split, and estimating its BN statistics with hard gates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pathlens.datasets.loader import ImageLoader, augment, centre, normalise
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.training.distributed import World


@dataclass(frozen=True)
class Evaluation:
    """Accuracy and cost of a network on one split, with hard gates.

    Of gates that are not applied, density and MACs are those that would be.

    Attributes:
        images: Number of images that could be read.
        accuracy: Share of them whose class is right.
        loss: Mean cross-entropy, in nats.
        density: Share of gates on; 1 for a plain network.
        macs_share: Mean MACs of an image, gating modules included, over those of the plain network.
    """

    images: int
    accuracy: float
    loss: float
    density: float
    macs_share: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def scores_of(output: Any) -> Tensor:
    """The class scores (N, classes): the first tensor of what a network returns."""
    while not isinstance(output, Tensor):
        output = next(iter(output.values())) if isinstance(output, dict) else output[0]
    return output


def in_order(count: int, batch_size: int) -> Iterator[Sequence[int]]:
    """Positions 0 to count - 1 in batches."""
    return in_batches(range(count), batch_size)


def in_batches(positions: Sequence[int], batch_size: int) -> Iterator[Sequence[int]]:
    """Positions in batches, in their order."""
    return (positions[i : i + batch_size] for i in range(0, len(positions), batch_size))


@torch.no_grad()
def evaluate(
    network: nn.Module,
    loader: ImageLoader,
    *,
    device: str = "cpu",
    batch_size: int = 256,
    world: World | None = None,
) -> Evaluation:
    """Measure a network on all readable images of a loader, each once, in eval mode.

    Args:
        network: Left in eval mode.
        loader: The images.
        device: Where the network is.
        batch_size: Images a batch.
        world: The processes that share the work, every image being measured by one of them.
    """
    network.eval()
    labels = _labels(loader)
    world = world or World()
    images, right, loss, density, macs = 0.0, 0.0, 0.0, 0.0, 0.0
    mine = world.part(range(len(loader.split)))
    for batch in loader.batches(in_batches(mine, batch_size)):
        count = len(batch.positions)
        if not count:
            continue
        x = normalise(centre(batch.canvas, loader.view).to(device))
        target = labels[torch.from_numpy(batch.positions)].to(device)
        if isinstance(network, DecoupledNetwork):
            output, path = network.with_path(x, responses=False)
            density += float(path.density()) * count
            macs += float(network.cost.macs(path).mean()) / network.cost.dense * count
        else:
            output = network(x)
            density, macs = density + count, macs + count
        scores = scores_of(output)
        loss += float(nn.functional.cross_entropy(scores, target, reduction="sum"))
        right += float((scores.argmax(1) == target).sum())
        images += count
    images, right, loss, density, macs = world.sum(images, right, loss, density, macs)
    n = max(1.0, images)
    return Evaluation(int(images), right / n, loss / n, density / n, macs / n)


def _labels(loader: ImageLoader) -> Tensor:
    labels = loader.split.labels
    assert labels is not None  # only labelled splits are trained on or measured
    return torch.from_numpy(np.asarray(labels, dtype=np.int64))


@torch.no_grad()
def estimate_batch_norm(
    network: nn.Module,
    loader: ImageLoader,
    positions: Sequence[int],
    *,
    seed: int = 0,
    device: str = "cpu",
    batch_size: int = 256,
) -> None:
    """Set running mean and variance of every BN to the averages over some images, with hard gates.

    Training ends with statistics of noisy gates; inference has hard ones. The images are augmented
    as in training: the weights have learnt to live with those statistics, and statistics of bare
    images cost a ResNet-20 on CIFAR-10 several points.

    Args:
        network: Left in eval mode. Where gates are not applied, its own BNs stay as they are, and
            those of the gating modules are estimated.
        loader: Training images.
        positions: Which of them to use.
        seed: Decides crops and mirroring.
        device: Where the network is.
        batch_size: Images a batch; each counts the same.
    """
    own: nn.Module = network
    if isinstance(network, DecoupledNetwork) and not network.applied:
        own = network.gating
    norms = [module for module in own.modules() if isinstance(module, _BatchNorm)]
    norms = [norm for norm in norms if norm.running_mean is not None]
    if not norms or len(positions) < 2:
        return
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    used = 0
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
        norm.train()
    whole = len(positions) // batch_size * batch_size or len(positions)
    plan = [positions[i : i + batch_size] for i in range(0, whole, batch_size)]
    generator = torch.Generator().manual_seed(seed)
    for batch in loader.batches(plan):
        if len(batch.positions) < 2:
            continue
        used += 1
        x = normalise(augment(batch.canvas, loader.view, generator).to(device))
        if isinstance(network, DecoupledNetwork):
            network.with_path(x, gates="hard", responses=False)
        else:
            network(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    if not used:  # no image could be read: the statistics of training are better than none
        network.load_state_dict(before)
    network.eval()
