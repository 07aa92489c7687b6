"""What is drawn in training, so that it depends on the image and not on how the work is divided.

Every image has its own generator in every epoch, seeded by the run's seed, the epoch and the image's
position. Its crop, its mirroring and the noise and coins of its gates come from there: they are the
same after a resume, in a batch of another size, and whichever process has the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pathlens.datasets.loader import View, augment

_EDGE = 2.0**-25
"""Uniform numbers are kept this far from 0 and 1, so that noise made of them stays finite."""


def mix(*numbers: int) -> int:
    """One seed from several numbers, without overlap between neighbours."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def epoch_order(images: int, seed: int, epoch: int) -> list[int]:
    """Order of the training images in an epoch."""
    generator = torch.Generator().manual_seed(mix(seed, epoch))
    return torch.randperm(images, generator=generator).tolist()


def image_seeds(images: int, seed: int, epoch: int) -> npt.NDArray[np.uint32]:
    """The seed of every image's generator in an epoch, (images,)."""
    # Steps are numbered from 1 where other seeds are mixed: (seed, epoch, 0, ...) is taken by none.
    words = np.random.SeedSequence((seed, epoch, 0, 1)).generate_state(images, np.uint32)
    return words.astype(np.uint32)


def draw(
    canvas: Tensor, view: View, seeds: Sequence[int], columns: int
) -> tuple[Tensor, ImageDraws]:
    """Crop and mirror images, and draw the numbers of their gates, each from its own generator.

    Args:
        canvas: uint8 (N, 3, canvas, canvas).
        view: Size of the crop and border.
        seeds: Seed of each image's generator.
        columns: Numbers an image that its gates can ask for.

    Returns:
        uint8 (N, 3, size, size), and the draws.
    """
    generator = torch.Generator()
    crops, numbers = [], torch.empty(len(canvas), columns)
    for row, seed in enumerate(seeds):
        generator.manual_seed(seed)
        crops.append(augment(canvas[row : row + 1], view, generator))
        if columns:
            torch.rand(columns, generator=generator, out=numbers[row])
    return torch.cat(crops), ImageDraws(numbers)


class ImageDraws:
    """Random numbers for the gates of one batch, in the order in which the layers ask.

    Args:
        numbers: (N, columns), uniform in [0, 1), a row an image.
    """

    def __init__(self, numbers: Tensor) -> None:
        self._numbers = numbers.clamp(_EDGE, 1 - _EDGE)
        self._next = 0

    def to(self, device: str) -> ImageDraws:
        """The same numbers on another device."""
        return ImageDraws(self._numbers.to(device))

    def uniform(self, like: Tensor) -> Tensor:
        """Numbers between 0 and 1, of the shape (N, k) of `like`."""
        begin, self._next = self._next, self._next + like.shape[1]
        return self._numbers[:, begin : self._next].to(like.dtype)

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers of the shape (N, k) of `like`, from uniform ones by the quantile."""
        return math.sqrt(2) * torch.erfinv(2 * self.uniform(like) - 1)
