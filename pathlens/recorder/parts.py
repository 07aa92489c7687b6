"""Running a network over the images of one part after the other."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from pathlens.datasets import ImageSplit
from pathlens.datasets.loader import ImageLoader, View, centre, normalise
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.recorder.columns import OptionalColumns, Seen
from pathlens.recording.content import CONTENT, content_hash
from pathlens.recording.manifest import Plan
from pathlens.recording.parts import PartRows
from pathlens.training.evaluation import scores_of

THUMBNAIL = 64
"""Longest side of a thumbnail, in pixels."""

_TYPES = {"label": "int64", "prediction": "int64", "confidence": "float32", "macs": "int64"}


class Coder(Protocol):
    """Makes bits of images."""

    network: DecoupledNetwork

    def run(self, x: Tensor, *, responses: bool) -> Seen:
        """What the network does with a batch (N, C, H, W), with pooled responses where asked for."""
        ...


class Paths:
    """The paths of a decoupled network, decided by hard gates."""

    def __init__(self, network: DecoupledNetwork) -> None:
        self.network = network

    def run(self, x: Tensor, *, responses: bool) -> Seen:
        """Gates, cost and scores of a batch (N, C, H, W)."""
        network = self.network
        output, path = network.with_path(x, gates="hard", responses=responses)
        # float64 keeps every multiply-add of a large network. Gates that are not applied spare none.
        ran = {name: z if network.applied else torch.ones_like(z) for name, z in path.items()}
        macs = network.cost.macs({name: z.cpu().double() for name, z in ran.items()})
        return Seen(
            output=output,
            bits={name: z.cpu().numpy() > 0.5 for name, z in path.items()},
            macs=macs.round().long().numpy(),
            scores=path.logits,
            responses=path.responses,
        )


class PartRecorder:
    """Runs a network over one part after the other; holds no more than a part's rows.

    Args:
        coder: Makes the bits; its network is on the device.
        images: All planned images.
        view: How they become the network's input.
        device: Where the network is.
        batch_size: Images a forward pass.
        columns: The optional columns.
        groups: Text columns about the planned images, in their order, if any are known.
    """

    def __init__(
        self,
        coder: Coder,
        images: ImageSplit,
        view: View,
        device: str,
        batch_size: int,
        columns: OptionalColumns,
        groups: pd.DataFrame | None = None,
    ) -> None:
        self.coder = coder
        self.images = images
        self.loader = ImageLoader(images, view, cache_bytes=0)
        self.device = device
        self.batch_size = batch_size
        self.columns = columns
        self.groups = groups
        self.readable = 0

    def part(self, plan: Plan, index: int, progress: Callable[[int], Any]) -> PartRows:
        """Record the images of part `index`."""
        positions = plan.part_range(index)
        batches = [
            positions[i : i + self.batch_size] for i in range(0, len(positions), self.batch_size)
        ]
        rows = _Rows(plan)
        with self.columns.watch():
            for planned, batch in zip(batches, self.loader.batches(batches), strict=True):
                rows.skipped += [_without_place(self.images.ids[i], e) for i, e in batch.failed]
                self.readable += len(batch.positions)
                if len(batch.positions):
                    seen = self._forward(batch.canvas)
                    frame = self._frame(seen, batch.positions)
                    frame[CONTENT] = [content_hash(canvas) for canvas in batch.canvas.numpy()]
                    rows.add(frame, seen, self.columns.floats(seen))
                    if plan.thumbnails:
                        rows.pictures += [_thumbnail(canvas) for canvas in batch.canvas]
                progress(len(planned))
        return rows.finish()

    @torch.inference_mode()
    def _forward(self, canvas: Tensor) -> Seen:
        x = normalise(centre(canvas, self.loader.view).to(self.device))
        return self.coder.run(x, responses="responses" in self.columns.kinds)

    @torch.inference_mode()
    def _frame(self, seen: Seen, positions: np.ndarray[Any, np.dtype[np.int64]]) -> pd.DataFrame:
        confidence, prediction = scores_of(seen.output).float().softmax(dim=1).max(dim=1)
        frame = pd.DataFrame(
            {
                "image": [self.images.ids[i] for i in positions],
                "prediction": prediction.cpu().numpy(),
                "confidence": confidence.cpu().numpy(),
                "macs": seen.macs,
            }
        )
        if self.images.labels is not None:
            frame["label"] = self.images.labels[positions]
        for name in () if self.groups is None else self.groups.columns:
            assert self.groups is not None
            frame[name] = self.groups[name].to_numpy()[positions]
        return frame


class _Rows:
    """The rows of one part, collected batch by batch."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.frames = [
            pd.DataFrame(
                {name: pd.Series(dtype=_TYPES.get(name, "str")) for name in plan.about_images}
            )
        ]
        self.bits = {x.name: [np.zeros((0, x.filters), dtype=bool)] for x in plan.layers}
        self.floats = {
            x.name: [np.zeros((0, x.values), dtype=x.kind)] for x in plan.further if not x.is_text
        }
        self.pictures: list[bytes] = []
        self.skipped: list[tuple[str, str]] = []

    def add(self, frame: pd.DataFrame, seen: Seen, floats: dict[str, Any]) -> None:
        """Append a batch."""
        self.frames.append(frame)
        for name, values in seen.bits.items():
            self.bits[name].append(values)
        for name, values in floats.items():
            self.floats[name].append(values)

    def finish(self) -> PartRows:
        """All rows together."""
        kept = [frame for frame in self.frames if len(frame)] or self.frames
        return PartRows(
            images=pd.concat(kept, ignore_index=True),
            bits={name: np.concatenate(values) for name, values in self.bits.items()},
            thumbnails=self.pictures if self.plan.thumbnails else None,
            skipped=self.skipped,
            floats={name: np.concatenate(values) for name, values in self.floats.items()},
        )


def _without_place(image: str, error: str) -> tuple[str, str]:
    """An unreadable image and its error, in which the data root, a path of the machine, is left out."""
    root, found, reason = error.partition(f"{image}: ")
    return image, reason.replace(root + image, image) if found else error


def _thumbnail(canvas: Tensor) -> bytes:
    """A small JPEG of a stored square, uint8 (3, side, side)."""
    picture = Image.fromarray(canvas.permute(1, 2, 0).numpy())
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=80)
    return content.getvalue()
