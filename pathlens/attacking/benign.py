"""Benign controls: changes that are not meant to fool, each a frozen dataclass of its settings."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from PIL import Image

from pathlens.attacking.alteration import (
    Altered,
    Clean,
    Kind,
    Networks,
    no_queries,
    number,
    stacked,
)
from pathlens.attacking.attacks import check_box
from pathlens.attacking.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from pathlens.attacking.rounding import rounded_within_box
from pathlens.datasets.base import Pixels
from pathlens.errors import PathLensError, unknown

_KIND: Kind = "benign"


@dataclass(frozen=True)
class SignNoise:
    """Every value moved by epsilon up or down at random: as large as an attack, without its aim.

    Attributes:
        epsilon: L-inf radius, of images in [0, 1].
    """

    epsilon: float
    norm: Literal["linf"] = "linf"
    kind: Kind = _KIND
    by_library: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_box(self.epsilon)

    @property
    def label(self) -> str:
        """As "noise-8"."""
        return f"noise-{number(self.epsilon * 255)}"

    def alter(self, clean: Clean, networks: Networks) -> Altered:
        """See `Alteration.alter`."""
        shape = tuple(clean.pixels.shape[1:])
        signs = np.stack([rng.choice([-1.0, 1.0], shape) for rng in clean.generators(self.label)])
        noisy = clean.pixels.double() / 255 + self.epsilon * torch.from_numpy(signs)
        return Altered(
            rounded_within_box(noisy, clean.pixels, self.epsilon), no_queries(len(clean))
        )


@dataclass(frozen=True)
class Jpeg:
    """Encoded as JPEG and decoded again.

    Attributes:
        quality: 1 to 95, as libjpeg has it.
    """

    quality: int = 75
    norm: Literal[""] = ""
    epsilon: None = None
    kind: Kind = _KIND
    by_library: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 95 or self.quality != int(self.quality):
            raise PathLensError(
                f"A JPEG quality of {number(self.quality)} is out of range: give a whole number from "
                "1 to 95."
            )

    @property
    def label(self) -> str:
        """As "jpeg-75"."""
        return f"jpeg-{number(self.quality)}"

    def alter(self, clean: Clean, networks: Networks) -> Altered:
        """See `Alteration.alter`."""
        images = [self.encoded(image.permute(1, 2, 0).numpy()) for image in clean.pixels]
        return Altered(stacked(images), no_queries(len(clean)))

    def encoded(self, pixels: Pixels) -> Pixels:
        """An image, uint8 (height, width, 3), through JPEG."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=int(self.quality))
        return np.asarray(Image.open(buffer).convert("RGB"))


@dataclass(frozen=True)
class Corruption:
    """A common corruption.

    Attributes:
        name: One of `corruptions.CORRUPTIONS`.
        severity: 1 to 5.
    """

    name: str
    severity: int = 3
    norm: Literal[""] = ""
    epsilon: None = None
    kind: Kind = _KIND
    by_library: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.name not in CORRUPTIONS:
            raise unknown("corruption", self.name, CORRUPTIONS)
        if self.severity not in SEVERITIES:
            raise PathLensError(
                f"A corruption's severity is 1 to 5, not {number(self.severity)}: give one of these."
            )

    @property
    def label(self) -> str:
        """As "corruption-blur-3"."""
        return f"corruption-{self.name}-{number(self.severity)}"

    def alter(self, clean: Clean, networks: Networks) -> Altered:
        """See `Alteration.alter`."""
        images = [
            corrupted(image.permute(1, 2, 0).numpy(), self.name, int(self.severity), rng)
            for image, rng in zip(clean.pixels, clean.generators(self.label), strict=True)
        ]
        return Altered(stacked(images), no_queries(len(clean)))
