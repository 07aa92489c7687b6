"""`measure()`: a table of multiply-adds and milliseconds of one network in all its forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pathlens.decoupling import DecoupledNetwork
from pathlens.decoupling.passing import Force
from pathlens.errors import PathLensError
from pathlens.progress import progress_bar
from pathlens.skipping.speed.forms import (
    CALIBRATED,
    CUT,
    DENSE,
    DENSE_LAST,
    DENSE_PACKED,
    MASKED,
    PACKED,
    SKIPPING,
    Forms,
)
from pathlens.skipping.speed.machine import machine
from pathlens.skipping.speed.profile import profile
from pathlens.skipping.speed.timing import Times, in_turns, threads

_CALIBRATED_ON = 32
"""Where skipping pays hangs on the paths, so that it is judged on so many images at least."""


@dataclass(frozen=True, eq=False)
class Speed:
    """What was measured.

    Attributes:
        frame: A row a form, size of batch and number of threads: `threads`, `batch`, `form`, `macs`
            (multiply-adds an image, mean over the images timed; gating modules included where they
            are asked, a cut keeps what any image of its batch has on),
            `ms`, `ms_low`, `ms_high` (milliseconds a batch: median and quartiles over turns),
            `speedup` (over dense, median over turns) and `mode` (how a calibrated network runs such
            batches, "" for other forms). Dense is the better of both orders in memory.
        layers: A row a step for one image, as `profile` gives it, with a column `threads`.
        machine: Device, processor, cores, versions.
        turns: Number of turns.
        notes: What a reader has to know beside.
    """

    frame: pd.DataFrame
    layers: pd.DataFrame = field(repr=False)
    machine: dict[str, Any]
    turns: int
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN as null."""
        return {
            "machine": self.machine,
            "turns": self.turns,
            "notes": list(self.notes),
            "forms": _records(self.frame),
            "steps": _records(self.layers),
        }


def measure(
    network: DecoupledNetwork,
    images: Tensor,
    *,
    batch_sizes: Sequence[int] = (1, 8, 32),
    thread_counts: Sequence[int] = (1, 2),
    turns: int = 9,
    force: Force | None = None,
    progress: bool = True,
) -> Speed:
    """Time a network dense, masked, skipping and statically cut, by turns.

    In every turn all forms run on the same batch, another one than in the turn before, each after a
    run that warms up; nothing is cached, because every image is new.

    Args:
        network: A decoupled network; left as it was, but in eval mode.
        images: (N, C, H, W), real ones best, at least as many as the largest batch.
        batch_sizes: Numbers of images.
        thread_counts: Numbers of torch's threads.
        turns: Number of turns.
        force: Gates to use instead of those decided, as `with_path` takes them, for all images.
        progress: Whether to show it.

    Raises:
        PathLensError: If there are fewer images than in the largest batch, or a number is below 1.
    """
    if min(*batch_sizes, *thread_counts, turns) < 1:
        raise PathLensError("Batch sizes, threads and turns are whole numbers from 1 on.")
    if len(images) < max(batch_sizes):
        raise PathLensError(
            f"{len(images)} images are too few for a batch of {max(batch_sizes)}: give more images or "
            "smaller batches."
        )
    forms = Forms(network.eval(), images[:1])
    images = images.to(forms.skipping.device)
    rows, layers = [], []
    total = len(thread_counts) * len(batch_sizes) * (turns + 1)
    with progress_bar(desc="speed", total=total, unit=" turns", shown=progress) as bar:
        for count in thread_counts:
            with threads(count):
                for batch in batch_sizes:
                    bar.set_postfix(threads=count, batch=batch)
                    _calibrate(forms, images, batch, force)
                    bar.update()
                    found = _times(forms, images, batch, turns, force, bar)
                    rows += _rows(forms, found, images, batch, count, force)
                steps = profile(forms.skipping, images[:1], force=force)
                layers.append(steps.assign(threads=count))
    return Speed(
        frame=pd.DataFrame(rows),
        layers=pd.concat(layers, ignore_index=True),
        machine=machine(forms.skipping.device),
        turns=turns,
        notes=_notes(forms),
    )


def _calibrate(forms: Forms, images: Tensor, batch: int, force: Force | None) -> None:
    some = images[: max(4 * batch, _CALIBRATED_ON)]
    forms.calibrated.calibrate(some, force=force, batch_sizes=[batch], turns=3)


def _times(
    forms: Forms, images: Tensor, batch: int, turns: int, force: Force | None, bar: Any
) -> Times:
    def calls(turn: int) -> Any:
        return forms.calls(_batch(images, batch, turn), force)

    return in_turns(calls, turns, forms.skipping.device, after=bar.update)


def _batch(images: Tensor, batch: int, turn: int) -> Tensor:
    start = turn * batch % (len(images) - batch + 1)
    return images[start : start + batch]


def _rows(
    forms: Forms, times: Times, images: Tensor, batch: int, count: int, force: Force | None
) -> list[dict[str, Any]]:
    best = min((DENSE, DENSE_LAST), key=lambda name: float(np.median(times[name])))
    dense = times[best]
    shown = {DENSE: dense, **{k: t for k, t in times.items() if k not in (DENSE, DENSE_LAST)}}
    macs = _macs(forms, [_batch(images, batch, turn) for turn in range(len(dense))], force)
    rows = []
    for name, seconds in shown.items():
        low, middle, high = (float(q) for q in 1e3 * np.quantile(seconds, [0.25, 0.5, 0.75]))
        rows.append(
            {
                "threads": count,
                "batch": batch,
                "form": name,
                "macs": macs[name],
                "ms": middle,
                "ms_low": low,
                "ms_high": high,
                "speedup": float(np.median(dense / seconds)),
                "mode": forms.calibrated.modes.get(batch, "") if name == CALIBRATED else "",
            }
        )
    return rows


@torch.inference_mode()
def _macs(forms: Forms, batches: Sequence[Tensor], force: Force | None) -> dict[str, int]:
    """Multiply-adds an image, of what has to be computed on the paths of these batches; means."""
    cost = forms.network.cost
    own, cut = [], []
    for x in batches:
        _, path = forms.skipping.with_path(x, force=force)
        own.append(float(cost.macs(path).mean()))
        union = {name: gates.amax(dim=0, keepdim=True) for name, gates in path.items()}
        cut.append(float(cost.macs(union).mean()) - cost.gating)
    skipped, kept = round(float(np.mean(own))), round(float(np.mean(cut)))
    return {
        DENSE: cost.dense,
        DENSE_PACKED: cost.dense,
        MASKED: cost.dense + cost.gating,
        SKIPPING: skipped,
        CALIBRATED: skipped,
        CUT: kept,
        PACKED: kept,
    }


def _notes(forms: Forms) -> tuple[str, ...]:
    notes = []
    if not forms.folded:
        notes.append(
            "The dense network's graph could not be followed, so that its BN is not folded."
        )
    if not forms.followed:
        reason = forms.skipping.fallbacks[0].reason
        notes.append(f"The network {reason}; it cannot be cut either.")
    return tuple(notes)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = frame.to_dict(orient="records")
    return [{str(k): None if v != v else v for k, v in row.items()} for row in rows]
