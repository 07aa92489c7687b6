"""Finding out on this machine where skipping pays, and how batches are best run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from pathlens.skipping.channels import Kept, granule
from pathlens.skipping.plan import Plan
from pathlens.skipping.steps.convolution import Convolution
from pathlens.skipping.steps.gating import Decide
from pathlens.skipping.weights import Filters

if TYPE_CHECKING:
    from pathlens.skipping.network import SkippingNetwork

Mode = Literal["each", "union", "dense"]
"""How a batch runs: one image at a time; the filters that any image has on, with masks; or all filters,
with masks."""

MODES: tuple[Mode, ...] = ("each", "union", "dense")
"""Groups of similar paths are left out. Of 32 real images, grouped with all paths known beforehand, the
union of 8 had on 0.77 of the filters instead of 0.79 at random (ResNet-20, CIFAR-10) and 0.90 instead of
0.93 (SqueezeNet, flowers); groups of 16, 8 and 4 took at least 1.1, 1.3 and 1.8 times as long as the
whole batch at once."""

Forced = dict[int, Tensor]
"""Gates that are given, (N, filters), by number of the layer from 0."""

Batch = tuple[tuple[Tensor, ...], Forced]
"""What the network takes, and gates that are given."""

_DENSITIES = (0.3, 0.5, 0.7, 0.9)

_GAIN = 0.9
"""Batches are skipped in only if that takes at most this share of the time with all filters: new paths
meet shapes that the convolution library has not seen, which the paths that are timed again have not."""

_BATCHES = 4
"""Batches of one size that the whole network is timed on."""


@dataclass(frozen=True)
class Calibration:
    """What was found.

    Attributes:
        dense_from: Share of filters on from which a layer runs dense, by name; 1 for never.
        modes: Batch size to the mode chosen: the fastest, or dense where no other gains a tenth; never
            image by image where images of a batch change one another's answers.
        seconds: (batch size, mode) to the time of one batch.
    """

    dense_from: dict[str, float]
    modes: dict[int, Mode]
    seconds: dict[tuple[int, Mode], float]


def calibrate(
    network: SkippingNetwork,
    plan: Plan,
    images: tuple[Tensor, ...],
    forced: Forced,
    sizes: Sequence[int],
    turns: int,
    seed: int,
) -> Calibration:
    """Time layers and batches; thresholds of layers are kept only if the whole is faster with them.

    Whole networks are timed on several images, because where skipping pays hangs on their paths.
    """
    generator = np.random.default_rng(seed)
    decides = [step for step in plan.steps if isinstance(step, Decide)]
    found = {
        step.layer: _dense_from(step, turns, generator)
        for step in plan.steps
        if isinstance(step, Convolution) and step.layer is not None
    }
    single = _batches(images, forced, 1)
    never = {step.layer: 1.0 for step in decides}
    runs = [_with(network, decides, choice, single) for choice in (never, found)]
    before, after = _times(runs, turns, network.device)
    _set(decides, found if after < before else never)
    seconds: dict[tuple[int, Mode], float] = {}
    modes = MODES if images_are_apart(network, images) else ("union", "dense")
    for size in sorted({*sizes, 1}):
        batches = _batches(images, forced, size)
        timed = _times([_in_mode(network, batches, mode) for mode in modes], turns, network.device)
        seconds.update(
            {(size, mode): t / len(batches) for mode, t in zip(modes, timed, strict=True)}
        )
    return Calibration(
        dense_from={network.layers[step.layer].name: step.dense_from for step in decides},
        modes={size: _fastest(seconds, size) for size, _ in seconds},
        seconds=seconds,
    )


def images_are_apart(network: SkippingNetwork, images: tuple[Tensor, ...]) -> bool:
    """Whether an image is answered the same alone as beside another: else none may run alone.

    The other is its mirror image at half the contrast, as there may be one image only. Up to the square
    root of the precision, a difference over the largest output is taken for rounding.
    """
    two = tuple(torch.cat([x[:1], 0.5 * x[:1].flip(-1)]).to(x.dtype) for x in images)
    alone, together = network.run_in_mode(two, "each"), network.run_in_mode(two, "union")
    return all(
        bool((a - b).abs().max() <= torch.finfo(b.dtype).eps ** 0.5 * b.abs().max())
        for a, b in zip(alone, together, strict=True)
        if b.is_floating_point() and b.numel()
    )


def _fastest(seconds: dict[tuple[int, Mode], float], size: int) -> Mode:
    best = min((mode for _, mode in seconds), key=lambda mode: seconds[size, mode])
    return best if seconds[size, best] < _GAIN * seconds[size, "dense"] else "dense"


def _batches(images: tuple[Tensor, ...], forced: Forced, size: int) -> list[Batch]:
    """Some batches of one size, one after the other among the images."""
    starts = range(0, len(images[0]) - size + 1, size)[:_BATCHES]
    return [
        (
            tuple(argument[start : start + size] for argument in images),
            {layer: gates[start : start + size] for layer, gates in forced.items()},
        )
        for start in starts
    ]


def _with(
    network: SkippingNetwork, decides: list[Decide], choice: dict[int, float], batches: list[Batch]
) -> Callable[[], object]:
    def run() -> None:
        _set(decides, choice)
        for x, forced in batches:
            network.run_in_mode(x, "union", forced)

    return run


def _in_mode(network: SkippingNetwork, batches: list[Batch], mode: Mode) -> Callable[[], object]:
    return lambda: [network.run_in_mode(x, mode, forced) for x, forced in batches]


def _set(decides: list[Decide], choice: dict[int, float]) -> None:
    for step in decides:
        step.dense_from = choice.get(step.layer, 1.0)


def _times(calls: Sequence[Callable[[], object]], turns: int, device: torch.device) -> list[float]:
    """Shortest time of each call, in seconds; they take turns, so that a busy machine hits all."""
    # Of one thread the time that it has the processor: other programs may be running.
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.thread_time if alone else time.perf_counter
    taken = [[0.0] * (turns + 1) for _ in calls]
    for turn in range(turns + 1):
        for number, call in enumerate(calls):
            start = clock()
            call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            taken[number][turn] = clock() - start
    return [min(times[1:]) for times in taken]


def _dense_from(step: Convolution, turns: int, generator: np.random.Generator) -> float:
    """The least density from which the layer is as fast with all its filters; 1 if none is."""
    filters = step.filters
    shape = (1, *filters.size[1:])
    x = torch.ones(shape, dtype=filters.weights.dtype, device=filters.weights.device)
    factors = torch.ones(1, len(filters.weights), 1, 1, dtype=x.dtype, device=x.device)
    for density in _DENSITIES:
        outputs = _some(len(filters.weights), density, generator)
        inputs = step.all_inputs
        some = x
        if step.inputs is not None:
            inputs = _some(inputs.channels, density, generator)
            some = x[:, : inputs.places]
        calls = [
            partial(_skipping, filters, some, inputs, outputs),
            partial(_densely, filters, x, factors),
        ]
        skipping, dense = _times(calls, turns, x.device)
        if dense <= skipping:
            return density
    return 1.0


def _skipping(filters: Filters, x: Tensor, inputs: Kept, outputs: Kept) -> None:
    filters.run(x, filters.gathered(inputs, outputs))


def _densely(filters: Filters, x: Tensor, factors: Tensor) -> None:
    filters.run(x, filters.whole).mul_(factors)


def _some(channels: int, density: float, generator: np.random.Generator) -> Kept:
    chosen = np.flatnonzero(generator.random(channels) < density)
    unit = granule(channels)
    places = min(channels, max(1, -(-len(chosen) // unit)) * unit)
    index = np.full(places, channels)
    index[: len(chosen)] = chosen[:places]
    return Kept(index, channels)
