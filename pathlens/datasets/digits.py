"""`digits`: the 1,797 handwritten digits that come with scikit-learn, as 32 x 32 RGB."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from pathlens.datasets.base import ImageSplit, Pixels
from pathlens.datasets.pools import Pools, split_pool

SIZE = 32
"""Height and width of an upscaled digit, in pixels; the originals have 8 x 8."""

_WHITE = 16.0


def load_digits(seed: int = 0) -> Pools:
    """Load the digits, white on black: 80 % to train on, 20 % to test on, class by class.

    Source: test part of the UCI set "Optical Recognition of Handwritten Digits" (Alpaydin and
    Kaynak, 1998), as in `sklearn.datasets.load_digits`. An image is called "digits/" and its number
    in that order, whichever split it is in.

    Args:
        seed: Decides which images are test images.
    """
    from sklearn.datasets import load_digits as load_originals

    originals = load_originals()
    pixels = [_upscale(image) for image in originals.images]
    pool = ImageSplit(
        name="digits",
        ids=tuple(f"digits/{index:05d}" for index in range(len(pixels))),
        labels=originals.target.astype(np.int64),
        classes=tuple(str(digit) for digit in range(10)),
        read=lambda position: pixels[position].copy(),
    )
    # A mirrored 2 is no 2.
    return replace(split_pool(pool, SIZE, seed), mirrored=False)


def _upscale(image: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Pixels:
    """Enlarge 8 x 8 grey values from 0 to 16 smoothly: uint8 (32, 32, 3)."""
    grey = np.rint(image * (255 / _WHITE)).astype(np.uint8)
    enlarged = Image.fromarray(grey).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return np.asarray(enlarged.convert("RGB")).copy()
