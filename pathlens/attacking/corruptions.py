"""Common corruptions of images, written simply.

Source: Hendrycks & Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations", ICLR 2019 (arXiv 1903.12261); strengths 1 to 5 follow their CIFAR-10-C.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pathlens.datasets.base import Pixels

Values = npt.NDArray[np.float64]
"""An image (height, width, 3) in [0, 1]."""

SEVERITIES = range(1, 6)
"""Strengths of a corruption."""

_Corruption = Callable[[Values, float, np.random.Generator], Values]


def corrupted(pixels: Pixels, name: str, severity: int, rng: np.random.Generator) -> Pixels:
    """An 8-bit image with one of `CORRUPTIONS`.

    Args:
        pixels: uint8 (height, width, 3).
        name: Which corruption.
        severity: 1 to 5.
        rng: Draws the noise.
    """
    corrupt, strengths = CORRUPTIONS[name]
    values = corrupt(pixels / 255, strengths[severity - 1], rng)
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _gaussian_noise(image: Values, deviation: float, rng: np.random.Generator) -> Values:
    return image + deviation * rng.standard_normal(image.shape)


def _shot_noise(image: Values, photons: float, rng: np.random.Generator) -> Values:
    counted: Values = rng.poisson(image * photons) / photons
    return counted


def _impulse_noise(image: Values, share: float, rng: np.random.Generator) -> Values:
    hit = rng.random(image.shape) < share
    struck: Values = np.where(hit, rng.integers(0, 2, image.shape).astype(np.float64), image)
    return struck


def _gaussian_blur(image: Values, deviation: float, _: np.random.Generator) -> Values:
    from scipy.ndimage import gaussian_filter

    # Strengths are those of 32 px; a larger picture of the same thing is blurred over more pixels.
    scale = image.shape[0] / 32
    blurred: Values = gaussian_filter(image, (deviation * scale, deviation * scale, 0))
    return blurred


def _contrast(image: Values, factor: float, _: np.random.Generator) -> Values:
    mean = image.mean(axis=(0, 1), keepdims=True)
    faded: Values = (image - mean) * factor + mean
    return faded


def _brightness(image: Values, added: float, _: np.random.Generator) -> Values:
    value = image.max(axis=2, keepdims=True)
    brighter = np.clip(value + added, 0, 1)
    # Black has no hue and becomes grey.
    scale = np.divide(brighter, value, out=np.ones_like(value), where=value > 0)
    lit: Values = np.where(value > 0, image * scale, brighter)
    return lit


def _pixelate(image: Values, factor: float, _: np.random.Generator) -> Values:
    from PIL import Image

    side = image.shape[1], image.shape[0]
    small = max(1, int(side[0] * factor)), max(1, int(side[1] * factor))
    picture = Image.fromarray(np.rint(image * 255).astype(np.uint8))
    picture = picture.resize(small, Image.Resampling.BOX).resize(side, Image.Resampling.NEAREST)
    return np.asarray(picture) / 255


CORRUPTIONS: dict[str, tuple[_Corruption, tuple[float, ...]]] = {
    "gaussian-noise": (_gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10)),
    "shot-noise": (_shot_noise, (500, 250, 100, 75, 50)),
    "impulse-noise": (_impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "blur": (_gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1.0)),
    "contrast": (_contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    "brightness": (_brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "pixelate": (_pixelate, (0.95, 0.9, 0.85, 0.75, 0.65)),
}
"""Each corruption with its five strengths."""
