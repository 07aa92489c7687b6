"""Running a network over the images of one part after the other."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
from pathlens.recording.bits import Bits, Packed, pack, packed_width, unpack
from pathlens.recording.content import CONTENT, content_hash
from pathlens.recording.further import Floats
from pathlens.recording.manifest import Plan
from pathlens.recording.parts import PartRows
from pathlens.training.evaluation import scores_of

THUMBNAIL = 64
"""Longest side of a thumbnail, in pixels."""

_GATES_AT_ONCE = 1 << 18
_FEWEST_AT_ONCE = 128
"""So many gates are costed in one go, 8 bytes each, and of large networks so many images: few
operations, little memory."""

Counts = np.ndarray[Any, np.dtype[np.int64]]


class Coder(Protocol):
    """Makes bits of images."""

    network: DecoupledNetwork

    def run(self, x: Tensor, *, responses: bool) -> Seen:
        """What the network does with a batch (N, C, H, W), with pooled responses where asked for."""
        ...

    def macs(self, bits: Mapping[str, Bits]) -> Counts:
        """Multiply-adds of every image, (N,), for the bits (N, filters) of every layer."""
        ...


class Paths:
    """The paths of a decoupled network, decided by hard gates."""

    def __init__(self, network: DecoupledNetwork) -> None:
        self.network = network

    def run(self, x: Tensor, *, responses: bool) -> Seen:
        """Gates and scores of a batch (N, C, H, W)."""
        output, path = self.network.with_path(x, gates="hard", responses=responses)
        # Side by side, so that they come from the device at once.
        bits = (path.concatenate() > 0.5).cpu().numpy()
        ends = np.cumsum([layer.filters for layer in self.network.layers])
        return Seen(
            output=output,
            bits=dict(zip(path, np.split(bits, ends[:-1], axis=1), strict=True)),
            scores=path.logits,
            responses=path.responses,
        )

    def macs(self, bits: Mapping[str, Bits]) -> Counts:
        """Multiply-adds of every image, (N,); gates that are not applied spare none."""
        applied = self.network.applied
        # float64 keeps every multiply-add of a large network.
        gates = {
            name: torch.from_numpy(z if applied else np.ones_like(z)).double()
            for name, z in bits.items()
        }
        macs: Counts = self.network.cost.macs(gates).round().long().numpy()
        return macs


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
        rows = _Rows(plan, len(positions))
        with self.columns.watch(), ThreadPoolExecutor(max_workers=1) as beside:
            for planned, batch in zip(batches, self.loader.batches(batches), strict=True):
                rows.skipped += [_without_place(self.images.ids[i], e) for i, e in batch.failed]
                self.readable += len(batch.positions)
                if len(batch.positions):
                    # Hashing and compressing pictures go on while the network computes.
                    looks = beside.submit(_look, batch.canvas, plan.thumbnails)
                    rows.add(batch.positions, self._forward(batch.canvas), looks.result())
                progress(len(planned))
        return PartRows(
            images=self._table(rows),
            bits=rows.packed,
            thumbnails=rows.pictures if plan.thumbnails else None,
            skipped=rows.skipped,
            floats=rows.floats,
        )

    @torch.inference_mode()
    def _forward(self, canvas: Tensor) -> _Batch:
        x = normalise(centre(canvas, self.loader.view).to(self.device))
        seen = self.coder.run(x, responses="responses" in self.columns.kinds)
        confidence, prediction = scores_of(seen.output).float().softmax(dim=1).max(dim=1)
        return _Batch(
            prediction=prediction.cpu().numpy(),
            confidence=confidence.cpu().numpy(),
            packed={name: pack(bits) for name, bits in seen.bits.items()},
            floats=self.columns.floats(seen),
        )

    def _table(self, rows: _Rows) -> pd.DataFrame:
        """The columns about the images of a part."""
        positions = rows.positions
        table: dict[str, Any] = {
            "image": np.array([self.images.ids[i] for i in positions], dtype=object),
            "prediction": rows.predictions,
            "confidence": rows.confidences,
            "macs": self._macs(rows.packed),
            CONTENT: rows.hashes,
        }
        if self.images.labels is not None:
            table["label"] = self.images.labels[positions]
        for name in () if self.groups is None else self.groups.columns:
            assert self.groups is not None
            table[name] = self.groups[name].to_numpy()[positions]
        return pd.DataFrame(table)

    def _macs(self, packed: Mapping[str, Packed]) -> Counts:
        layers = self.coder.network.layers
        rows = len(packed[layers.names[0]])
        found = [np.zeros(0, dtype=np.int64)]
        step = max(_FEWEST_AT_ONCE, _GATES_AT_ONCE // sum(layer.filters for layer in layers))
        for start in range(0, rows, step):
            some = slice(start, start + step)
            found.append(
                self.coder.macs({x.name: unpack(packed[x.name][some], x.filters) for x in layers})
            )
        return np.concatenate(found)


@dataclass(frozen=True)
class _Batch:
    """What is kept of a batch that the network has seen; layer names to packed bits."""

    prediction: Counts
    confidence: np.ndarray[Any, np.dtype[np.float32]]
    packed: Mapping[str, Packed]
    floats: Mapping[str, Floats]


class _Rows:
    """The rows of one part, filled in batch by batch.

    Room for all of them is taken at once: small arrays that stay between the large ones that come
    and go would keep the allocator from using the place of these again, and memory would grow.
    """

    def __init__(self, plan: Plan, size: int) -> None:
        self.count = 0
        self._positions = np.empty(size, dtype=np.int64)
        self._predictions = np.empty(size, dtype=np.int64)
        self._confidences = np.empty(size, dtype=np.float32)
        self._bits = {
            x.name: np.empty((size, packed_width(x.filters)), dtype=np.uint8) for x in plan.layers
        }
        self._floats: dict[str, Floats] = {
            x.name: np.empty((size, x.values), dtype=x.kind) for x in plan.further if not x.is_text
        }
        self.hashes: list[bytes] = []
        self.pictures: list[bytes] = []
        self.skipped: list[tuple[str, str]] = []

    def add(self, positions: Counts, batch: _Batch, looks: tuple[list[bytes], list[bytes]]) -> None:
        """Append a batch, with the hashes and pictures of its images."""
        place = slice(self.count, self.count + len(positions))
        self._positions[place] = positions
        self._predictions[place] = batch.prediction
        self._confidences[place] = batch.confidence
        for name, values in batch.packed.items():
            self._bits[name][place] = values
        for column, numbers in batch.floats.items():
            self._floats[column][place] = numbers
        self.hashes += looks[0]
        self.pictures += looks[1]
        self.count += len(positions)

    @property
    def positions(self) -> Counts:
        """Planned positions of the rows."""
        return self._positions[: self.count]

    @property
    def predictions(self) -> Counts:
        """Predicted class of every row."""
        return self._predictions[: self.count]

    @property
    def confidences(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Confidence of every row."""
        return self._confidences[: self.count]

    @property
    def packed(self) -> dict[str, Packed]:
        """The packed bits of all rows, by layer name."""
        return {name: values[: self.count] for name, values in self._bits.items()}

    @property
    def floats(self) -> dict[str, Floats]:
        """The optional columns of all rows."""
        return {name: values[: self.count] for name, values in self._floats.items()}


def _look(canvas: Tensor, thumbnails: bool) -> tuple[list[bytes], list[bytes]]:
    """The hash of every image of a batch and, where wanted, a small picture of it."""
    planes = canvas.numpy()
    hashes = [content_hash(image) for image in planes]
    return hashes, [_thumbnail(image) for image in planes] if thumbnails else []


def _without_place(image: str, error: str) -> tuple[str, str]:
    """An unreadable image and its error, in which the data root, a path of the machine, is left out."""
    root, found, reason = error.partition(f"{image}: ")
    return image, reason.replace(root + image, image) if found else error


def _thumbnail(canvas: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """A small JPEG of a stored square, uint8 (3, side, side)."""
    picture = Image.fromarray(np.ascontiguousarray(canvas.transpose(1, 2, 0)))
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=80)
    return content.getvalue()
