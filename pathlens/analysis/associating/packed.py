"""Filters and concepts as the compiled search reads them: packed, with all pairs counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.associating.qualities import Quality
from pathlens.analysis.source import Bits

if TYPE_CHECKING:
    from pathlens.analysis.associating.kernel import Aims, Columns

Words = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int32]
NO_FILTER = -1
"""Fills the rest of a set that has fewer members than it could have."""

# Concepts that the compiled search compares at a time.
_LANES = 16


def pack(bits: Bits) -> Words:
    """Columns as words of 64 images, zeros behind: uint64 (filters, words), at least one word.

    Args:
        bits: bool (images, filters).
    """
    used = -(-len(bits) // 8)
    packed = np.zeros((bits.shape[1], 8 * max(1, -(-len(bits) // 64))), dtype=np.uint8)
    packed[:, :used] = np.packbits(np.ascontiguousarray(bits.T), axis=1)
    return packed.view(np.uint64)


def pairs(words: Words) -> Counts:
    """Images for which two columns are both on: int32 (filters, filters), upper triangle.

    Counting bits takes a twelfth of the time of a matrix product in single precision.
    """
    from pathlens.analysis.associating.bit_counts import paired

    counts = np.zeros((len(words), len(words)), dtype=np.int32)
    paired(words, np.ones(len(words), dtype=np.bool_), counts)
    return counts


def pack_columns(bits: Bits, quality: Quality, least: int) -> Columns:
    """The filters of a layer.

    Args:
        bits: bool (images, filters).
        quality: What is searched for.
        least: Images that a combination has to be on for, at least 1.
    """
    from pathlens.analysis.associating.kernel import Columns

    words, images = pack(bits), len(bits)
    spread = quality.spread(np.arange(images + 1, dtype=np.float64), images)
    spread = np.where(spread > 0, spread, np.inf)
    spread[:least] = np.inf
    return Columns(words, pairs(words), spread, least, images)


def pack_aims(bits: Bits, concepts: Bits, quality: Quality, support: Counts) -> Aims:
    """The concepts, each on the side that has fewer images.

    Args:
        bits: bool (images, filters).
        concepts: bool (images, concepts).
        quality: What is searched for.
        support: int32 (filters, filters), images of both filters.
    """
    from pathlens.analysis.associating.kernel import Aims

    images = len(bits)
    positives = concepts.sum(axis=0, dtype=np.int64)
    others = positives > images // 2
    sides = [pack(bits[has ^ other]) for has, other in zip(concepts.T, others, strict=True)]
    sizes = np.array([side.size for side in sides], dtype=np.int64)
    centre: Any = positives.astype(np.float64)
    scale = quality.scale(centre, images)
    return Aims(
        words=np.concatenate([side.reshape(-1) for side in sides]),
        start=np.cumsum(sizes) - sizes,
        width=np.array([side.shape[1] for side in sides], dtype=np.int64),
        others=others,
        joint=_joint(sides, others, support),
        centre=centre if quality.centred else np.zeros_like(centre),
        scale=np.where(scale > 0, scale, np.inf),
    )


def _joint(sides: list[Words], others: npt.NDArray[np.bool_], support: Counts) -> Counts:
    """Images of both filters and concept: int32 (filters, filters, lanes), upper triangle.

    Written for a run of concepts at a time, which is one access to memory for all of them.
    """
    lanes = -(-len(sides) // _LANES) * _LANES
    joint = np.zeros((*support.shape, lanes), dtype=np.int32)
    for start in range(0, len(sides), _LANES):
        run = range(start, min(start + _LANES, len(sides)))
        counts = [support - pairs(sides[i]) if others[i] else pairs(sides[i]) for i in run]
        joint[:, :, run.start : run.stop] = np.stack(counts, axis=-1)
    return joint
