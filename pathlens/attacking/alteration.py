"""What attacks and benign controls have in common: a label, a kind, altered 8-bit images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from pathlens.attacking.classifier import ImageClassifier, in_unit_range
from pathlens.attacking.draws import image_generator

Kind = Literal["attack", "benign"]


@dataclass(frozen=True)
class Clean:
    """Clean images that are to be altered.

    Attributes:
        pixels: uint8 (N, 3, H, W), on the CPU: the network's input before normalisation.
        labels: int64 (N,), true classes.
        ids: Their ids, (N,).
        seed: Together with an id it gives the random numbers of an image.
    """

    pixels: Tensor
    labels: Tensor
    ids: tuple[str, ...]
    seed: int

    def __len__(self) -> int:
        return len(self.ids)

    def generators(self, purpose: str) -> list[np.random.Generator]:
        """One generator an image, the same whatever other images there are."""
        return [image_generator(self.seed, image, purpose) for image in self.ids]


@dataclass(frozen=True)
class Networks:
    """Whom an attack follows and who decides whether it has succeeded.

    Attributes:
        victim: Its gradients are followed.
        judge: Decides, with hard gates.
        batch_size: Images a forward pass of the judge.
    """

    victim: ImageClassifier
    judge: ImageClassifier
    batch_size: int

    def fooled(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """Whether the judge misclassifies 8-bit images, bool (N,)."""
        return self.judge.predict(pixels, self.batch_size) != labels

    def inputs(self, clean: Clean) -> tuple[Tensor, Tensor]:
        """Images in [0, 1] and labels, where the victim is."""
        device = self.victim.mean.device
        return in_unit_range(clean.pixels.to(device)), clean.labels.to(device)


@dataclass(frozen=True)
class Altered:
    """Altered images, in the order of the clean ones.

    Attributes:
        pixels: uint8 (N, 3, H, W), on the CPU.
        queries: int64 (N,), forward passes spent on each image, at most; 0 for benign controls.
    """

    pixels: Tensor
    queries: Tensor


class Alteration(Protocol):
    """An attack or a benign control: a frozen dataclass of its settings."""

    @property
    def label(self) -> str:
        """Name of the folder and of the attack in tables, such as "pgd-linf-8"."""
        ...

    @property
    def kind(self) -> Kind:
        """Whether it is meant to fool."""
        ...

    @property
    def by_library(self) -> bool:
        """Whether the attack library makes it, which has to be installed then."""
        ...

    @property
    def norm(self) -> str:
        """The norm that it keeps small, "linf" or "l2"; "" for none."""
        ...

    @property
    def epsilon(self) -> float | None:
        """Radius in that norm, of images in [0, 1]; None where there is no bound."""
        ...

    def alter(self, clean: Clean, networks: Networks) -> Altered:
        """Altered images of a batch; each depends on its own image, label, id and the seed only."""
        ...


def no_queries(count: int) -> Tensor:
    """int64 (count,), zeros."""
    return torch.zeros(count, dtype=torch.int64)


def number(value: float) -> str:
    """A number as labels have it: "8", "0.5"."""
    return f"{value:.6g}"


def stacked(images: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> Tensor:
    """uint8 (H, W, 3) arrays as one tensor (N, 3, H, W)."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
