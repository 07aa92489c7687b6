"""Processor time of every network on the same test photographs, by turns."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from measuring import CUT, PLAIN, Subject, half_cut, pictures
from torch import Tensor, nn

from pathlens.decoupling import decouple
from pathlens.skipping import skip
from pathlens.skipping.processor import LAST
from pathlens.skipping.speed.forms import CALIBRATED, MASKED, SKIPPING
from pathlens.skipping.speed.timing import in_turns, threads

TURNS = {1: 60, 32: 9}
"""Turns by number of images at once; every turn has other images."""

PACKED = ", packed"

Call = Callable[[], object]


class Network:
    """One network without gates, in either order in memory and with the operators that skipping uses."""

    def __init__(self, module: nn.Module, packed: Callable[..., Any]) -> None:
        self.module, self.packed = module, packed
        self.last = copy.deepcopy(module).to(memory_format=LAST)

    @staticmethod
    def of(module: nn.Module, example: Tensor) -> Network:
        """Of a plain or pruned network."""
        again = decouple(copy.deepcopy(module), example).eval()
        static = skip(again, example, cache_bytes=0).static({"*": 1.0}, example)
        return Network(module, static)

    def calls(self, name: str, x: Tensor) -> dict[str, Call]:
        """What runs it on a batch."""
        last = x.contiguous(memory_format=LAST)
        return {
            name: lambda: self.module(x),
            f"{name}, last": lambda: self.last(last),
            f"{name}{PACKED}": lambda: self.packed(x),
        }


class Contest:
    """All networks of a set.

    Args:
        subject: The kept networks and the images.
        pruned: Pruned networks by the names of their rows.
    """

    def __init__(self, subject: Subject, pruned: Mapping[str, nn.Module]) -> None:
        self.subject = subject
        example = pictures(subject.validation, 1)
        self.skipping = skip(subject.network, example, cache_bytes=0)
        self.calibrated = skip(subject.network, example, cache_bytes=0)
        self.networks = {
            name: Network.of(module, example)
            for name, module in ({PLAIN: subject.plain} | dict(pruned)).items()
        }
        made = half_cut(subject)
        if made is not None:
            packed = self.skipping.static(made[1], example)
            self.networks[CUT] = Network(made[0].module, packed)

    def rows(self, batch: int, turns: int) -> list[dict[str, Any]]:
        """Rows of the table for one number of images at once, on one thread."""
        with threads(1), torch.inference_mode():
            x = pictures(self.subject.validation, 4 * batch)
            self.calibrated.calibrate(x, batch_sizes=[batch], turns=5)
            images = pictures(self.subject.test)
            times = in_turns(
                lambda turn: self._calls(_images(images, batch, turn)),
                turns,
                images.device,
                clock=time.process_time,
            )
        best = best_layouts(times)
        found = summary(best, best[PLAIN])
        mode = self.calibrated.modes[batch]
        return [{"batch": batch, **row, "turns": turns, "calibrated_mode": mode} for row in found]

    def _calls(self, x: Tensor) -> dict[str, Call]:
        masked = self.subject.network
        found: dict[str, Call] = {
            MASKED: lambda: masked.with_path(x, responses=False),
            SKIPPING: lambda: self.skipping(x),
            CALIBRATED: lambda: self.calibrated(x),
        }
        for name, network in self.networks.items():
            found |= network.calls(name, x)
        return {name: _without_gradients(call) for name, call in found.items()}


def _images(images: Tensor, batch: int, turn: int) -> Tensor:
    places = torch.arange(turn * batch, (turn + 1) * batch) % len(images)
    return images[places]


def _without_gradients(call: Call) -> Call:
    def run() -> object:
        with torch.inference_mode():
            return call()

    return run


def best_layouts(times: Mapping[str, Any]) -> dict[str, Any]:
    """Times by network, of the order in memory that has the lower median."""
    names = [name for name in times if not name.endswith(", last")]
    found = {}
    for name in names:
        both = [times[one] for one in (name, f"{name}, last") if one in times]
        found[name] = min(both, key=lambda seconds: float(np.median(seconds)))
    return found


def summary(times: Mapping[str, Any], dense: Any) -> list[dict[str, Any]]:
    """A row a network: medians with quartiles in ms, and the speed-up over dense within turns."""
    rows = []
    for name, seconds in times.items():
        low, middle, high = 1e3 * np.quantile(seconds, [0.25, 0.5, 0.75])
        speedup = dense / seconds
        first, median, last = np.quantile(speedup, [0.25, 0.5, 0.75])
        row = {"ms": middle, "ms_low": low, "ms_high": high}
        row |= {"speedup": median, "speedup_low": first, "speedup_high": last}
        rows.append({"network": name, **row})
    return rows
