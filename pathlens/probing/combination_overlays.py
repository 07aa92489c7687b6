"""Pictures of where a combination responds, with the outline of its concept, for the page."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from pathlens.analysis.associating.turns import in_turn
from pathlens.analysis.source import Bits, Ints
from pathlens.datasets.base import Pixels
from pathlens.probing.combination_maps import MapBench, Unit

SIDE = 160
"""Longer side of the pictures, in pixels."""
PICTURES = 4
"""Pictures of a combination, at most."""
MOST = 24
"""Combinations that have pictures, at most."""

_DIM = 0.6
_OUTLINE = (255, 60, 200)
"""A colour that photographs seldom have."""


def with_pictures(measured: pd.DataFrame) -> pd.DataFrame:
    """The rows to draw, in the order of `in_turn` with confirmed ones first: as the page shows cards.

    None is chosen by how well its map fits the mask.

    Args:
        measured: Rows of associations of which the IoU was measured.
    """
    confirmed, others = (in_turn(measured[measured["confirmed"] == flag]) for flag in (True, False))
    return pd.concat([confirmed, others]).head(MOST)


def drawn_at_random(hits: Ints, seed: int) -> Ints:
    """At most `PICTURES` of some images, in ascending order."""
    return np.sort(np.random.default_rng(seed).permutation(hits)[:PICTURES])


def overlays(bench: MapBench, unit: Unit, concept: int, rows: Ints, threshold: float) -> list[str]:
    """The pictures of one combination and concept.

    Args:
        bench: The network and the images.
        unit: The combination.
        concept: Position of the concept among those of the bench's images.
        rows: int64 (n,), which images.
        threshold: Response from which on the combination counts as on.

    Returns:
        JPEG of each, base64.
    """
    found = []
    for _, batch, maps in bench.maps(rows, [unit], "overlays"):
        values = next(maps)[1]
        found += [
            jpeg(overlay(picture, response / threshold, mask))
            for picture, response, mask in zip(
                batch.pictures, values, batch.concepts[:, concept], strict=True
            )
        ]
    return found


def overlay(picture: Pixels, response: npt.NDArray[np.float32], mask: Bits) -> Pixels:
    """A picture, dim and grey but where the unit responds, with the outline of a mask.

    Args:
        picture: uint8 (height, width, 3).
        response: float32 (height, width); 1 is the threshold, from which on the picture is whole.
        mask: bool (height, width).

    Returns:
        uint8 (height, width, 3), its longer side `SIDE`.
    """
    strength = np.clip(response, 0.0, 1.0)[:, :, None]
    dim = _DIM * picture.mean(axis=2, keepdims=True)
    lit = (dim + strength * (picture - dim)).astype(np.uint8)
    drawn, large = _enlarged(lit), _enlarged(mask.astype(np.uint8) * 255) > 127
    drawn[outline(large)] = _OUTLINE
    return drawn


def outline(mask: Bits) -> Bits:
    """Pixels of a mask with a neighbour, above, below or beside, that is not of it.

    The edge of the picture is none of the mask's.
    """
    padded = np.pad(mask, 1, mode="edge")
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inside)


def jpeg(pixels: Pixels) -> str:
    """Base64 of a JPEG whose thin coloured lines stay sharp."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, format="JPEG", quality=80, subsampling=0)
    return base64.b64encode(target.getvalue()).decode("ascii")


def _enlarged(pixels: npt.NDArray[np.uint8]) -> Pixels:
    """With `SIDE` pixels on the longer side, without smoothing where that enlarges."""
    image = Image.fromarray(pixels)
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    kind = Image.Resampling.NEAREST if scale > 1 or pixels.ndim == 2 else Image.Resampling.LANCZOS
    return np.array(image.resize(size, kind))
