"""Path swaps: give every image another path, and see what the answer loses.

An interchange intervention, without retraining. Routing that can be taken away at no cost explains
nothing, so this is the first question to ask of a decoupled network.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from pathlens.analysis.measured.swaps import (
    CLASS_MAJORITY,
    CLASS_STATIC,
    MAJORITY,
    OTHER_CLASS,
    OWN_PATH,
    SAME_CLASS,
    STATIC,
    WHOLE,
    PathSwaps,
    later,
    swaps_of,
)
from pathlens.analysis.statistics import percentile_interval
from pathlens.decoupling.cost import Cost
from pathlens.errors import PathLensError
from pathlens.files import write_text
from pathlens.probing.resampling import bootstrap_means
from pathlens.probing.subject import Subject, open_subject
from pathlens.progress import progress_bar
from pathlens.recording.beside import PATH_SWAPS
from pathlens.recording.reader import Recording

Gates = npt.NDArray[np.bool_]
Partners = npt.NDArray[np.int64]


def path_swap(
    recording: str | Path | Recording,
    *,
    data: str | Path | None = None,
    by_layer: bool = False,
    from_layer: bool = False,
    seed: int = 0,
    resamples: int = 1000,
    device: str = "cpu",
    batch_size: int = 256,
    progress: bool = True,
) -> PathSwaps:
    """Measure accuracy when every image runs another path.

    Conditions: "own path"; "majority path" (gates that most images have on, one path for all);
    "majority path, equal MACs" (gates that more than a share of the images have on, the smallest share
    that costs no more than the own paths do on average: a static network cut by on-rate);
    "majority path of the predicted class", and the same at equal MACs, class by class; "path of
    another image of the same predicted class"; "path of an image of another predicted class".
    Swapping within the *true* class would leak the label. The table is also written beside the
    recording.

    Args:
        recording: A labelled recording that lies below its run.
        data: Where the images are, if not where the run found them.
        by_layer: Whether to swap the gates of each layer alone as well, the others being decided as
            ever (they see what the swap has changed).
        from_layer: Whether to swap the gates of each layer but the first together with those of all
            later layers as well, the earlier ones being decided as ever.
        seed: Draws the partners and the resamples.
        resamples: Bootstrap resamples of images.
        device: Where to run.
        batch_size: Images a forward pass.
        progress: Whether to show a progress bar.

    Raises:
        PathLensError: If the run is gone or has another checkpoint, the images are others, or they
            have no labels or fewer than two predicted classes.
    """
    subject = open_subject(recording, data)
    source, gates = subject.recording, subject.gates()
    rng = np.random.default_rng(seed)
    conditions = _conditions(gates, subject.predictions, subject.network.cost, rng)
    scopes = _scopes(list(gates), by_layer=by_layer, from_layer=from_layer)
    plan = [
        (condition, scope)
        for scope in scopes
        for condition in conditions
        if scope == WHOLE or condition != OWN_PATH
    ]
    rows, own = [], None
    for condition, scope in progress_bar(plan, desc="path swaps", shown=progress):
        chosen = conditions[condition]
        right, macs = _run(subject, chosen, scopes[scope], device, batch_size)
        own = right if own is None else own
        measured = _row(own, right, macs, resamples, rng)
        rows.append({"condition": condition, "layer": scope, **measured})
    frame = pd.DataFrame(rows)
    table = frame.assign(recording=source.hash)
    write_text(source.folder / PATH_SWAPS, table.to_csv(index=False, lineterminator="\n"))
    return swaps_of(source, frame)


def _scopes(
    names: Sequence[str], *, by_layer: bool, from_layer: bool
) -> dict[str, tuple[str, ...]]:
    """What is said of the layers whose gates are swapped, and their names."""
    scopes = {WHOLE: tuple(names)}
    if by_layer:
        scopes |= {name: (name,) for name in names}
    if from_layer:  # from the first layer on is all of them
        scopes |= {later(name): tuple(names[i:]) for i, name in enumerate(names) if i}
    return scopes


def _conditions(
    gates: Mapping[str, Gates], prediction: Partners, cost: Cost, rng: np.random.Generator
) -> dict[str, Callable[[str, slice], Gates]]:
    """For each condition, a function that gives the gates (n, filters) of a layer for some images."""
    same, other = partners(prediction, rng)
    everyone = np.zeros(len(prediction), dtype=np.int64)

    def majority(groups: Partners, *, equal_macs: bool) -> Callable[[str, slice], Gates]:
        paths = {
            k: _majority({n: b[groups == k] for n, b in gates.items()}, cost, equal_macs)
            for k in np.unique(groups)
        }
        return lambda name, s: np.stack([paths[k][name] for k in groups[s]])

    return {
        OWN_PATH: lambda name, s: gates[name][s],
        MAJORITY: majority(everyone, equal_macs=False),
        STATIC: majority(everyone, equal_macs=True),
        CLASS_MAJORITY: majority(prediction, equal_macs=False),
        CLASS_STATIC: majority(prediction, equal_macs=True),
        SAME_CLASS: lambda n, s: gates[n][same[s]],
        OTHER_CLASS: lambda n, s: gates[n][other[s]],
    }


def _majority(gates: Mapping[str, Gates], cost: Cost, equal_macs: bool) -> dict[str, Gates]:
    """The gates (filters,) that more than half of some images have on; or another share of them."""
    rates = {name: bits.mean(axis=0) for name, bits in gates.items()}
    if not equal_macs:
        return {name: rate > 0.5 for name, rate in rates.items()}
    budget = float(cost.macs({n: torch.from_numpy(b).double() for n, b in gates.items()}).mean())

    def fits(share: float) -> bool:
        path = {n: torch.from_numpy(rate > share).double()[None] for n, rate in rates.items()}
        return float(cost.macs(path)) <= budget

    shares = np.unique(np.concatenate([*rates.values(), [0.0]]))  # a path changes at these only
    share = shares[bisect_left(shares, True, key=fits)]
    return {name: rate > share for name, rate in rates.items()}


def partners(prediction: Partners, rng: np.random.Generator) -> tuple[Partners, Partners]:
    """For each image another one of the same predicted class, and one of another class.

    An image that is alone in its class is its own partner.

    Args:
        prediction: Predicted classes (images,).
        rng: Draws them.

    Raises:
        PathLensError: If all images have the same predicted class.
    """
    classes = np.unique(prediction)
    if len(classes) < 2:
        raise PathLensError("All images are taken for one class: paths cannot be swapped between.")
    same = np.arange(len(prediction))
    other = np.empty(len(prediction), dtype=np.int64)
    for k in classes:
        members = rng.permutation(np.flatnonzero(prediction == k))
        same[members] = np.roll(members, 1)  # a shuffled ring: nobody meets himself
        other[members] = rng.choice(np.flatnonzero(prediction != k), len(members))
    return same, other


def _run(
    subject: Subject,
    chosen: Callable[[str, slice], Gates],
    layers: Sequence[str],
    device: str,
    batch_size: int,
) -> tuple[Gates, npt.NDArray[np.float64]]:
    """Which images (images,) are right under the chosen gates of some layers, and their MACs.

    MACs are shares of the plain network's.
    """
    cost = subject.network.cost
    right, macs = [], []
    everyone = np.arange(len(subject.labels), dtype=np.int64)
    passes = subject.run(
        everyone,
        lambda places: {name: torch.from_numpy(chosen(name, places)) for name in layers},
        device=device,
        batch_size=batch_size,
    )
    for places, scores, path in passes:
        right.append(scores.argmax(1).cpu().numpy() == subject.labels[places])
        spent = cost.macs({name: z.cpu().double() for name, z in path.items()})
        macs.append(spent.numpy() / cost.dense)
    return np.concatenate(right), np.concatenate(macs)


def _row(
    own: Gates, right: Gates, macs: Any, resamples: int, rng: np.random.Generator
) -> dict[str, float]:
    lost = own.astype(np.int8) - right.astype(np.int8)
    low, high = percentile_interval(bootstrap_means(lost, resamples, rng))
    return {
        "images": len(right),
        "accuracy": float(right.mean()),
        "lost": float(lost.mean()),
        "lost_low": float(low),
        "lost_high": float(high),
        "macs_share": float(np.mean(macs)),
    }
