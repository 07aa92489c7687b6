"""Random numbers that belong to an image, whatever batch it stands in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def image_generator(seed: int, image: str, purpose: str) -> np.random.Generator:
    """The generator of one image for one purpose: the same three give the same numbers.

    Args:
        seed: Not negative.
        image: Its id.
        purpose: What the numbers are for, so that two uses do not share them.
    """
    digest = hashlib.sha256(f"{seed}\0{image}\0{purpose}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))


def in_box(generators: Sequence[np.random.Generator], shape: torch.Size, radius: float) -> Tensor:
    """Uniform within ± `radius`, float32 (N, *shape), one generator an image."""
    drawn = np.stack([generator.uniform(-radius, radius, tuple(shape)) for generator in generators])
    return torch.from_numpy(drawn.astype(np.float32))


def in_ball(generators: Sequence[np.random.Generator], shape: torch.Size, radius: float) -> Tensor:
    """Uniform within the Euclidean ball of `radius`, float32 (N, *shape), one generator an image."""
    found = []
    for generator in generators:
        direction = generator.standard_normal(tuple(shape))
        length = radius * generator.random() ** (1 / direction.size)
        found.append(direction * (length / np.linalg.norm(direction)))
    return torch.from_numpy(np.stack(found).astype(np.float32))
