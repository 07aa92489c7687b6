"""Accuracy of every network on the same test images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fine_tuning import load_pruned
from numpy.typing import NDArray
from planning import Set
from pruning import macs
from torch import Tensor, nn

from pathlens.datasets.base import ImageSplit
from pathlens.datasets.loader import ImageLoader, centre, normalise
from pathlens.decoupling import DecoupledNetwork
from pathlens.errors import PathLensError
from pathlens.runs import Run
from pathlens.skipping import Cut, cut, skip
from pathlens.training import load_run
from pathlens.training.evaluation import in_order, scores_of

OWN, SKIPPING, CUT, PLAIN = "decoupled", "decoupled, skipping", "decoupled, cut", "plain"
HALF = 0.5
"""A cut keeps the filters that are on for at least this share of validation images."""

_BATCH = 50


@dataclass(frozen=True)
class Subject:
    """The kept networks of a set, and its images.

    Attributes:
        network: The decoupled network.
        plain: The plain one, trained equally.
        validation: Images to calibrate on, and to choose the filters of the cut.
        test: Images to measure and to time on.
        size: Height and width of the input, in pixels.
    """

    network: DecoupledNetwork
    plain: nn.Module
    validation: ImageLoader
    test: ImageLoader
    size: int


def subject_of(one: Set, limit: int | None = None) -> Subject:
    """Load the kept networks of a set; `limit` keeps so many test and validation images."""
    config = one.config()
    data = one.dataset(config)
    splits = {name: _few(data.split(name), limit) for name in ("validation", "test")}
    loaders = {name: ImageLoader(split, config.view) for name, split in splits.items()}
    network, plain = load_run(one.decoupled).network, load_run(one.plain).network
    return Subject(network, plain, loaders["validation"], loaders["test"], config.view.size)


def _few(split: ImageSplit, limit: int | None) -> ImageSplit:
    from pathlens.datasets.splits import take

    return split if limit is None else take(split, limit, 0)


def pictures(loader: ImageLoader, count: int | None = None, seed: int = 0) -> Tensor:
    """Some images of a split, drawn by lot, as a network takes them: (N, 3, size, size)."""
    order = np.random.default_rng(seed).permutation(len(loader.split))[:count]
    batches = loader.batches(order[i : i + _BATCH] for i in range(0, len(order), _BATCH))
    return torch.cat([normalise(centre(batch.canvas, loader.view)) for batch in batches])


@torch.inference_mode()
def right(call: Callable[[Tensor], Any], loader: ImageLoader) -> NDArray[np.bool_]:
    """Which images of a split a network answers rightly, (images,)."""
    labels, found = np.asarray(loader.split.labels), []
    for batch in loader.batches(in_order(len(loader.split), _BATCH)):
        answer = scores_of(call(normalise(centre(batch.canvas, loader.view)))).argmax(1)
        found.append(answer.numpy() == labels[batch.positions])
    return np.concatenate(found)


@torch.inference_mode()
def mean_macs(network: DecoupledNetwork, loader: ImageLoader) -> float:
    """Mean multiply-adds of an image over those of the plain network, gating modules included."""
    costs = []
    for batch in loader.batches(in_order(len(loader.split), _BATCH)):
        x = normalise(centre(batch.canvas, loader.view))
        costs.append(network.cost.macs(network.with_path(x, responses=False)[1]))
    return float(torch.cat(costs).double().mean()) / network.cost.dense


@torch.inference_mode()
def rates(network: DecoupledNetwork, loader: ImageLoader) -> dict[str, Tensor]:
    """Share of the images of a split that each filter is on for: layer to (filters,)."""
    sums: dict[str, Tensor] = {}
    for batch in loader.batches(in_order(len(loader.split), _BATCH)):
        x = normalise(centre(batch.canvas, loader.view))
        for name, gates in network.with_path(x, responses=False)[1].items():
            sums[name] = sums.get(name, torch.zeros(())) + gates.sum(dim=0)
    return {name: total / len(loader.split) for name, total in sums.items()}


def half_cut(subject: Subject) -> tuple[Cut, dict[int | str, Any]] | None:
    """The decoupled network cut to what half of the validation images use, with these gates.

    None where a layer would be left without filters.
    """
    found = rates(subject.network, subject.validation)
    gates: dict[int | str, Any] = {name: (rate >= HALF).float() for name, rate in found.items()}
    try:
        return cut(subject.network, gates, pictures(subject.validation, 2)), gates
    except PathLensError as error:
        print(error)
        return None


def measured_kept(subject: Subject) -> dict[str, tuple[float, NDArray[np.bool_]]]:
    """Share of multiply-adds and right answers of what needs no training, by name."""
    network, test = subject.network, subject.test
    share = mean_macs(network, test)
    skipping = skip(network, pictures(subject.validation, 1), cache_bytes=0)
    found = {
        PLAIN: (1.0, right(subject.plain, test)),
        OWN: (share, right(network, test)),
        SKIPPING: (share, right(skipping, test)),
    }
    made = half_cut(subject)
    if made is not None:
        found[CUT] = (made[0].macs / made[0].dense_macs, right(made[0].module, test))
    return found


def measured_pruned(subject: Subject, run: Run) -> tuple[float, NDArray[np.bool_]]:
    """Share of multiply-adds and right answers of a pruned network."""
    network = load_pruned(run)
    share = macs(network, subject.size) / macs(subject.plain, subject.size)
    return share, right(network, subject.test)


def remembered(
    file: Path, make: Callable[[], tuple[float, NDArray[np.bool_]]]
) -> tuple[float, NDArray[np.bool_]]:
    """What was measured before, from a file; measured and written if it is not there."""
    if not file.exists():
        share, answers = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".part.npz")
        np.savez(beside, share=share, right=answers)
        beside.rename(file)
    with np.load(file) as content:
        return float(content["share"]), content["right"]
