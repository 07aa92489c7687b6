"""From a split to batches of tensors: decoded ahead in threads, cached where they fit, seeded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pathlens.datasets.base import ImageSplit, Pixels, UnreadableImageError
from pathlens.errors import PathLensError

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Channel statistics of ImageNet, which published weights (the CIFAR ones too) expect."""

CACHE_BYTES = 3 << 30
"""Splits whose decoded images take at most this much memory are decoded once and kept."""


@dataclass(frozen=True)
class View:
    """How a picture becomes the network's input.

    The shorter side is resized to `canvas` px and the middle square cut out. For evaluation the
    middle `size` px of the canvas are taken; for training a random place, after `pad` px of black on
    each side, mirrored at random.

    Attributes:
        size: Height and width of the network's input, in pixels.
        canvas: Height and width of the stored square, in pixels.
        pad: Black border added before a random crop, in pixels.
        mirror: Whether training mirrors images at random.
    """

    size: int
    canvas: int
    pad: int
    mirror: bool = True

    @staticmethod
    def of(size: int, native: int | None, *, mirror: bool = True) -> View:
        """The usual view: pad by an eighth if images have this size, else crop from 8/7 of it."""
        if native == size:
            return View(size=size, canvas=size, pad=size // 8, mirror=mirror)
        return View(size=size, canvas=round(size * 8 / 7), pad=0, mirror=mirror)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as configurations and manifests hold them."""
        return {**asdict(self), "mean": list(MEAN), "std": list(STD)}

    @staticmethod
    def from_json(entry: dict[str, Any]) -> View:
        """The inverse of `to_json`."""
        size, canvas, pad = (int(entry[key]) for key in ("size", "canvas", "pad"))
        return View(size, canvas, pad, bool(entry.get("mirror", True)))


@dataclass(frozen=True)
class Batch:
    """Some images of a split.

    Attributes:
        canvas: uint8 (N, 3, canvas, canvas).
        positions: int64 (N,), the images' positions in the split; unreadable ones are left out.
        failed: Positions of unreadable images, with the reason.
    """

    canvas: Tensor
    positions: np.ndarray[Any, np.dtype[np.int64]]
    failed: tuple[tuple[int, str], ...]


class ImageLoader:
    """Reads batches of one split.

    Args:
        split: The images.
        view: How they are resized and cropped.
        threads: Threads that decode ahead.
        cache_bytes: Decoded images are kept if all of them take at most this much memory.
    """

    def __init__(
        self, split: ImageSplit, view: View, *, threads: int = 2, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.split = split
        self.view = view
        self.threads = threads
        total = len(split) * 3 * view.canvas**2
        self._cache: Tensor | None = None
        if total <= cache_bytes:
            self._cache = torch.empty((len(split), 3, view.canvas, view.canvas), dtype=torch.uint8)
        self._cached = np.zeros(len(split), dtype=bool)
        self.failed: dict[int, str] = {}

    def batches(self, plan: Iterable[Sequence[int]]) -> Iterator[Batch]:
        """Read the batches of `plan`, lists of positions, in that order, decoding ahead."""
        waiting: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(max_workers=max(1, self.threads)) as pool:
            try:
                for positions in plan:
                    waiting.append(pool.submit(self.read, positions))
                    if len(waiting) > self.threads + 1:
                        yield self._note(waiting.popleft().result())
                while waiting:
                    yield self._note(waiting.popleft().result())
            finally:
                for future in waiting:
                    future.cancel()

    def _note(self, batch: Batch) -> Batch:
        self.failed.update(batch.failed)
        if len(self.failed) > max(10, len(self.split) // 10):
            position, reason = next(iter(self.failed.items()))
            raise PathLensError(
                f"{len(self.failed)} of {len(self.split)} images cannot be read, the first being "
                f"{self.split.ids[position]} ({reason}): check the folder."
            )
        return batch

    def read(self, positions: Sequence[int]) -> Batch:
        """Read the images at `positions`."""
        pictures, kept, failed = [], [], []
        for position in positions:
            try:
                pictures.append(self._picture(int(position)))
                kept.append(int(position))
            except UnreadableImageError as error:
                failed.append((int(position), str(error)))
        side = self.view.canvas
        canvas = (
            torch.stack(pictures)
            if pictures
            else torch.empty((0, 3, side, side), dtype=torch.uint8)
        )
        return Batch(canvas, np.asarray(kept, dtype=np.int64), tuple(failed))

    def _picture(self, position: int) -> Tensor:
        if self._cache is not None and self._cached[position]:
            return self._cache[position]
        picture = torch.from_numpy(to_canvas(self.split.read(position), self.view.canvas))
        picture = picture.permute(2, 0, 1).contiguous()
        if self._cache is not None:
            self._cache[position] = picture
            self._cached[position] = True
        return picture


def to_canvas(pixels: Pixels, side: int) -> Pixels:
    """Resize the shorter side to `side` px and cut out the middle square, as torchvision does.

    Args:
        pixels: uint8 (height, width, 3).
        side: Height and width of the result, in pixels.
    """
    height, width = pixels.shape[:2]
    short = min(height, width)
    if short != side:
        to = (side * width // short, side * height // short)
        pixels = np.asarray(Image.fromarray(pixels).resize(to, Image.Resampling.BILINEAR))
        width, height = to
    top, left = round((height - side) / 2), round((width - side) / 2)
    return np.array(pixels[top : top + side, left : left + side])


def normalise(images: Tensor) -> Tensor:
    """Map uint8 (N, 3, H, W) to float32 with ImageNet's channel statistics."""
    mean = torch.tensor(MEAN, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=images.device).view(1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def centre(canvas: Tensor, view: View) -> Tensor:
    """The middle `view.size` px of a batch of canvases, as evaluation sees them."""
    offset = (view.canvas - view.size) // 2
    return canvas[:, :, offset : offset + view.size, offset : offset + view.size]


def augment(canvas: Tensor, view: View, generator: torch.Generator) -> Tensor:
    """Crop at random and mirror at random, every image on its own.

    Args:
        canvas: uint8 (N, 3, canvas, canvas).
        view: Size of the crop and border.
        generator: Decides; the same state gives the same crops.

    Returns:
        uint8 (N, 3, size, size).
    """
    count, room = len(canvas), view.canvas + 2 * view.pad - view.size
    if view.pad:
        canvas = torch.nn.functional.pad(canvas, (view.pad,) * 4)
    tops, lefts = torch.randint(0, room + 1, (2, count), generator=generator).tolist()
    mirrored = torch.rand(count, generator=generator) < (0.5 if view.mirror else 0.0)
    crops = torch.stack(
        [
            image[:, top : top + view.size, left : left + view.size]
            for image, top, left in zip(canvas, tops, lefts, strict=True)
        ]
    )
    return torch.where(mirrored.view(-1, 1, 1, 1), crops.flip(3), crops)
