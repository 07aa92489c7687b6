"""What the start alone gives: accuracy at part of the MACs without training, by who chooses filters.

Usage: PATHLENS_SHARED=../shared python analyses/accuracy/untrained.py WORK

Takes the plain network of the run `resnet20-cifar10-plain-2` under WORK, lets the same share of the
filters of every gated layer run for each validation image, and writes untrained.csv beside this file.
Only the first convolutions of the blocks are gated. The filters that run are the strongest by a score:

* responses: root mean square of the image's own responses, which only the whole network knows;
* gating modules: their prediction of it from the layer's input, fitted to training images;
* mean response: the mean over training images, the same filters for every image;
* lot: drawn image by image.

Scores are those of the network with all gates on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from run import HERE, folders
from torch import Tensor

from pathlens.datasets import load_dataset
from pathlens.datasets.loader import ImageLoader, centre, normalise
from pathlens.decoupling import Constant, DecoupledNetwork, Gating, TopK, decouple
from pathlens.runs import Run
from pathlens.training.evaluation import in_order
from pathlens.training.loading import LoadedRun, load_run
from pathlens.training.recipe import load_recipe
from pathlens.training.starting import start_gates

RUN = "resnet20-cifar10-plain-2"
GATED = "*.conv1"
RECIPE = load_recipe(str(HERE / "recipes" / "cifar.toml"))
SHARES = (0.7, 0.5)
BATCH = 250

Scores = dict[str, Tensor]
"""Layer name to the scores (N, filters) by which filters are chosen."""
Choice = Callable[[Tensor], Scores]
"""From images to scores."""


def started(
    loaded: LoadedRun, train: ImageLoader, gating: Gating | TopK | Constant
) -> DecoupledNetwork:
    """The plain network with gating modules as a training of the study would start them."""
    size = loaded.config.view.size
    network = decouple(loaded.network, torch.zeros(1, 3, size, size), GATED, gating=gating)
    start_gates(network, train, replace(loaded.config, recipe=RECIPE))
    return network.eval()


def choices(loaded: LoadedRun, train: ImageLoader) -> tuple[DecoupledNetwork, dict[str, Choice]]:
    """A network to force gates on, and who chooses them."""
    network = started(loaded, train, RECIPE.gating)
    constant = started(loaded, train, Constant(start="responses"))
    generator = torch.Generator().manual_seed(0)

    def lot(x: Tensor) -> Scores:
        layers = network.layers
        return {
            layer.name: torch.rand(len(x), layer.filters, generator=generator) for layer in layers
        }

    def path_of(which: DecoupledNetwork, kind: str) -> Choice:
        def scores(x: Tensor) -> Scores:
            path = which.with_path(x, force={"*": 1.0}, responses=False, magnitudes=True)[1]
            found: Scores = getattr(path, kind)
            return found

        return scores

    return network, {
        "responses": path_of(network, "magnitudes"),
        "gating modules": path_of(network, "logits"),
        "mean response": path_of(constant, "logits"),
        "lot": lot,
    }


def strongest(scores: Tensor, share: float) -> Tensor:
    """Gates (N, filters) of each image's strongest filters."""
    kept = scores.topk(round(share * scores.shape[1]), dim=1).indices
    return torch.zeros_like(scores).scatter_(1, kept, 1.0)


def batches(loader: ImageLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """Images as the network takes them, and their labels."""
    labels = torch.from_numpy(np.asarray(loader.split.labels))
    for batch in loader.batches(in_order(len(loader.split), BATCH)):
        yield (
            normalise(centre(batch.canvas, loader.view)),
            labels[torch.from_numpy(batch.positions)],
        )


@torch.no_grad()
def measure(network: DecoupledNetwork, who: dict[str, Choice], loader: ImageLoader) -> pd.DataFrame:
    """Accuracy with its 95 % interval and share of MACs, a row for each choice and share."""
    asked = [("all on", 1.0), *((name, share) for name in who for share in SHARES)]
    right: dict[tuple[str, float], list[Tensor]] = {each: [] for each in asked}
    macs: dict[tuple[str, float], list[Tensor]] = {each: [] for each in asked}
    for x, target in batches(loader):
        scores = {name: choice(x) for name, choice in who.items()}
        scores["all on"] = scores["lot"]
        for name, share in asked:
            force = {layer: strongest(each, share) for layer, each in scores[name].items()}
            output, path = network.with_path(x, force=force, responses=False)
            right[name, share].append(output.argmax(1) == target)
            macs[name, share].append(network.cost.macs(path))
    return pd.DataFrame(
        row(*each, torch.cat(right[each]), torch.cat(macs[each]), network) for each in asked
    )


def row(
    name: str, share: float, right: Tensor, macs: Tensor, network: DecoupledNetwork
) -> dict[str, object]:
    """One line of the table."""
    accuracy = float(right.double().mean())
    half = 1.96 * (accuracy * (1 - accuracy) / len(right)) ** 0.5
    return {
        "chosen_by": name,
        "filters_on": share,
        "macs_share": float(macs.double().mean()) / network.cost.dense,
        "accuracy": accuracy,
        "low": accuracy - half,
        "high": accuracy + half,
        "images": len(right),
    }


def main(work: Path) -> None:
    """Measure on validation images and write the table."""
    loaded = load_run(Run(work / "runs" / RUN))
    dataset = load_dataset(folders(work)["cifar10"], seed=loaded.config.data_seed)
    train, validation = (
        ImageLoader(dataset.split(part), loaded.config.view) for part in ("train", "validation")
    )
    found = measure(*choices(loaded, train), validation)
    print(found.round(4).to_string(index=False))
    found.round(4).to_csv(HERE / "untrained.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
