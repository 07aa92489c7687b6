"""Baselines: codes of a plain network with the on-rates of a decoupled one, filter by filter.

Every claim about paths is to stand beside the same claim about these. Nothing is routed: the plain
network runs whole, and its predictions and its cost are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pathlens.datasets import ImageSplit
from pathlens.datasets.loader import ImageLoader, centre, normalise
from pathlens.datasets.splits import take
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.errors import PathLensError, unknown
from pathlens.layers import Layer
from pathlens.recorder.columns import Seen
from pathlens.recorder.images import planned_images
from pathlens.recorder.scores import KINDS, Raw, hosted, projected, read, statistics
from pathlens.recorder.thresholds import Counts, Numbers, Thresholds
from pathlens.recording.bits import Bits
from pathlens.recording.listing import read_listing, read_marker
from pathlens.recording.manifest import MANIFEST
from pathlens.training.loading import LoadedRun, load_run

BASELINE = "baseline"
"""Key in the manifest's `extra`."""

RATES_IMAGES = 10_000
"""Training images from which on-rates and thresholds are taken, unless another number is given."""


@dataclass(frozen=True)
class Baseline:
    """What codes are wanted, of which network.

    Attributes:
        kind: Some of `KINDS`.
        subject: The run whose plain network is recorded.
        reference: The decoupled run whose on-rates the codes have.
        network: The plain network, in a form that tells what it does.
        images_asked: Number of training images to measure on, at most.
        seed: Draws them, and random projections.
    """

    kind: str
    subject: LoadedRun
    reference: LoadedRun
    network: DecoupledNetwork
    images_asked: int
    seed: int

    @staticmethod
    def of(subject: LoadedRun, kind: str, rates_from: Any, images: int, seed: int) -> Baseline:
        """Check that the two runs belong together.

        Args:
            subject: A plain run, or an unapplied one for the kind "unapplied".
            kind: Some of `KINDS`.
            rates_from: A decoupled run, or its name or folder.
            images: Number of training images to measure on, at most.
            seed: Draws them, and random projections; not negative.

        Raises:
            PathLensError: If they do not belong together.
        """
        _check_subject(subject, kind)
        if rates_from is None:
            raise PathLensError(
                f"--plain {kind} needs --rates-from RUN: the decoupled run whose on-rates the codes "
                "are to have."
            )
        if images < 1 or seed < 0:
            raise PathLensError("--rates-images must be at least 1 and --seed 0 or more.")
        reference = load_run(rates_from)
        _check_pair(subject, reference)
        network = subject.network
        if not isinstance(network, DecoupledNetwork):
            network = hosted(network, subject.config.view.size)
        assert isinstance(reference.network, DecoupledNetwork)
        if _shapes(network) != _shapes(reference.network):
            raise PathLensError(
                f"Runs {subject.run.name} and {reference.run.name} do not have the same layers: give "
                "two runs of the same network."
            )
        return Baseline(kind, subject, reference, network, images, seed)

    @property
    def label(self) -> str:
        """What tells its recording from others of the same run and images."""
        return f"{self.kind}-{self.reference.run.name}"

    def settings(self) -> dict[str, Any]:
        """What decides the codes, in plain values."""
        source = {"run": self.reference.run.name, "checkpoint": self.reference.checkpoint}
        return {
            "kind": self.kind,
            "rates_from": source,
            "images_asked": self.images_asked,
            "seed": self.seed,
        }

    def training_images(self) -> ImageSplit:
        """The images on which on-rates and thresholds are taken: a seeded part, even over classes."""
        return take(
            planned_images(self.reference, None, "train", None), self.images_asked, self.seed
        )

    def calibrate(
        self, device: str, batch_size: int, progress: Callable[[int], Any]
    ) -> dict[str, Any]:
        """Measure on-rates and choose thresholds: what the manifest says under `baseline`.

        Holds one float32 a training image and filter (for "random": and input channel) in memory.

        Raises:
            PathLensError: If too many training images cannot be read.
        """
        wanted, raw, images = self._measure(device, batch_size, progress)
        layers = {}
        for layer in self.network.layers:
            known = statistics(raw[layer.name]) if self.kind == "random" else (None, None)
            scores = _scores(raw.pop(layer.name), layer, self.seed, *known)
            layers[layer.name] = Thresholds.fit(scores, wanted[layer.name], *known).to_json()
        return {**self.settings(), "images": images, "layers": layers}

    @torch.inference_mode()
    def _measure(
        self, device: str, batch_size: int, progress: Callable[[int], Any]
    ) -> tuple[dict[str, Counts], dict[str, Raw], int]:
        """Images with every gate on, what scores are made from, and the number of images."""
        split = self.training_images()
        loader = ImageLoader(split, self.reference.config.view, cache_bytes=0)
        gated, plain = self.reference.network.to(device), self.network.to(device)
        assert isinstance(gated, DecoupledNetwork)
        on = {x.name: np.zeros(x.filters, dtype=np.int64) for x in plain.layers}
        raw: dict[str, list[Raw]] = {name: [] for name in on}
        images = 0
        plan = [range(i, min(i + batch_size, len(split))) for i in range(0, len(split), batch_size)]
        for planned, batch in zip(plan, loader.batches(plan), strict=True):
            if len(batch.positions):
                x = normalise(centre(batch.canvas, loader.view).to(device))
                _, path = gated.with_path(x, gates="hard", responses=False)
                _, _, values = read(plain, self.kind, x)
                for name in on:
                    on[name] += (path[name] > 0.5).sum(dim=0).cpu().numpy()
                    raw[name].append(values[name])
                images += len(batch.positions)
            progress(len(planned))
        if not images:
            raise PathLensError(
                f"None of the training images of run {self.reference.run.name} can be read: check "
                "the folder."
            )
        return on, {name: np.concatenate(raw.pop(name)) for name in on}, images


class Codes:
    """The bits of a baseline.

    Args:
        baseline: What they are.
        measured: What `Baseline.calibrate` gave, or a manifest says.

    Raises:
        KeyError, TypeError, ValueError: If it is not what `calibrate` gives.
    """

    def __init__(self, baseline: Baseline, measured: Mapping[str, Any]) -> None:
        self.network = baseline.network
        self._kind = baseline.kind
        self._seed = baseline.seed
        self._layers = {
            x.name: Thresholds.from_json(measured["layers"][x.name]) for x in self.network.layers
        }
        for layer in self.network.layers:
            if self._layers[layer.name].values.shape != (layer.filters,):
                raise ValueError(f"not one threshold a filter of {layer.name}")

    def run(self, x: Tensor, *, responses: bool) -> Seen:
        """The plain network's output, and the thresholded bits, of a batch (N, C, H, W)."""
        output, path, raw = read(self.network, self._kind, x, responses=responses)
        scores = {
            layer.name: _scores(raw[layer.name], layer, self._seed, known.mean, known.deviation)
            for layer, known in zip(self.network.layers, self._layers.values(), strict=True)
        }
        return Seen(
            output=output,
            bits={name: self._layers[name].bits(values) for name, values in scores.items()},
            scores={name: torch.from_numpy(values) for name, values in scores.items()},
            responses=path.responses,
        )

    def macs(self, bits: Mapping[str, Bits]) -> Counts:
        """Multiply-adds of every image, (N,): all that the plain network has."""
        images = len(next(iter(bits.values())))
        return np.full(images, self.network.cost.dense, dtype=np.int64)

    def largest_miss(self, images: int) -> float:
        """Largest difference of a filter's on-rate from the wanted one, on the training images."""
        return max(
            float(np.abs(layer.reached - layer.wanted).max()) / images
            for layer in self._layers.values()
        )


def _scores(
    raw: Raw, layer: Layer, seed: int, mean: Numbers | None, deviation: Numbers | None
) -> Raw:
    if mean is None or deviation is None:
        return raw
    return projected(raw, layer, seed, mean, deviation)


def _shapes(network: DecoupledNetwork) -> list[tuple[str, int]]:
    return [(layer.name, layer.filters) for layer in network.layers]


def _check_subject(subject: LoadedRun, kind: str) -> None:
    if kind not in KINDS:
        raise unknown("kind of baseline", kind, KINDS)
    name, config = subject.run.name, subject.config
    if kind == "unapplied" and not config.unapplied:
        what = "is a plain run without gating modules" if config.plain else "applies its gates"
        raise PathLensError(
            f"Run {name} {what}: --plain unapplied needs a run made with `pathlens train --unapplied "
            "--from PLAIN_RUN`."
        )
    if kind != "unapplied" and not config.plain:
        raise PathLensError(
            f"Run {name} has gating modules: --plain {kind} needs a plain run (trained with --plain)."
        )


def _check_pair(subject: LoadedRun, reference: LoadedRun) -> None:
    mine, theirs = subject.config, reference.config
    name, other = subject.run.name, reference.run.name
    if theirs.plain or theirs.unapplied:
        raise PathLensError(
            f"Run {other} applies no gates and has no on-rates to give: let --rates-from name a "
            "decoupled run."
        )
    if (mine.model, mine.width) != (theirs.model, theirs.width):
        raise PathLensError(
            f"Run {name} is a {mine.model} (width {mine.width:g}) and run {other} a {theirs.model} "
            f"(width {theirs.width:g}): give two runs of the same network."
        )
    if (mine.images, mine.classes) != (theirs.images, theirs.classes):
        raise PathLensError(
            f"Runs {name} and {other} were not trained on the same images: give two runs of the same "
            "--data, --data-seed and --limit."
        )
    if (mine.view.size, mine.view.canvas) != (theirs.view.size, theirs.view.canvas):
        raise PathLensError(
            f"Runs {name} and {other} see images in other sizes ({mine.view.size} and "
            f"{theirs.view.size} px): give two runs of the same --image-size."
        )


def known_baseline(baseline: Baseline, folder: Path) -> dict[str, Any] | None:
    """What was measured when the recording in `folder` was begun; None where nothing was begun.

    Raises:
        PathLensError: If that recording is of another kind.
    """
    extra = _earlier_extra(folder)
    if extra is None:
        return None
    found = extra.get(BASELINE) or {}
    if {key: found.get(key) for key in baseline.settings()} != baseline.settings():
        raise PathLensError(
            f"{folder} holds a recording of other codes (paths, or another --plain, --rates-from, "
            "--rates-images or --seed): give another --out, or delete that folder."
        )
    try:
        Codes(baseline, found)
    except (KeyError, TypeError, ValueError):
        return None
    return dict(found)


def _earlier_extra(folder: Path) -> Mapping[str, Any] | None:
    try:
        if (folder / MANIFEST).exists():
            return read_listing(folder)[1].plan.extra
        marked = read_marker(folder)
    except PathLensError:
        return None  # the writer says what is wrong with it
    return None if marked is None else marked.extra
