"""Streaming counts: how many images of each class have each gate on, exact and in little memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Bits, Ints, PathData
from pathlens.layers import Layer

# Eight gates of one byte each are added as one 64-bit word: a byte holds a sum of at most 255.
_LANES = 8
_MOST_SUMMED = 255
_CHUNK = 32_768


def bit_chunks(data: PathData, layer: Layer) -> Iterator[Bits]:
    """Gates of one layer in chunks of images, in the order of the images: bool (rows, filters).

    A recording that has `bits_in_parts(layer)`, an iterator of bool (rows, filters), is read part
    by part, so that no layer is ever whole in memory; any other is asked for the layer.

    Args:
        data: A recording.
        layer: One of its layers.
    """
    in_parts = getattr(data, "bits_in_parts", None)
    parts = [data.bits(layer.name)] if in_parts is None else in_parts(layer.name)
    for bits in parts:
        for start in range(0, len(bits), _CHUNK):
            yield bits[start : start + _CHUNK]


def bit_class_counts(bits: Bits, deals: npt.NDArray[np.integer], classes: int) -> Ints:
    """Images of each class that have each gate on: int64 (deals, classes, filters).

    Time does not grow with the number of classes.

    Args:
        bits: bool (images, filters).
        deals: Integers (deals, images), class of each image in each way to deal classes out;
            negative ones are not counted.
        classes: Number of classes.
    """
    filters = bits.shape[1]
    total = np.zeros((len(deals), classes, filters), dtype=np.int64)
    for start in range(0, len(bits), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        words = _words(bits[chunk])
        for deal, sums in zip(deals, total, strict=True):
            sums += _sums(words, deal[chunk], classes)[:, :filters]
    return total


def class_counts(
    data: PathData, layer: Layer, deals: npt.NDArray[np.integer], classes: int
) -> Ints:
    """Images of each class that have each gate of a layer on: int64 (deals, classes, filters).

    The layer is read once for all deals, in chunks of images.

    Args:
        data: A recording.
        layer: One of its layers.
        deals: As of `bit_class_counts`.
        classes: Number of classes.
    """
    total = np.zeros((len(deals), classes, layer.filters), dtype=np.int64)
    start = 0
    for bits in bit_chunks(data, layer):
        total += bit_class_counts(bits, deals[:, start : start + len(bits)], classes)
        start += len(bits)
    return total


def on_counts(data: PathData, layer: Layer) -> Ints:
    """Images that have each gate of one layer on: int64 (filters,)."""
    total = np.zeros(layer.filters, dtype=np.int64)
    for bits in bit_chunks(data, layer):
        total += bits.sum(axis=0, dtype=np.int64)
    return total


def _words(bits: Bits) -> npt.NDArray[np.uint64]:
    """Rows of gates as words of eight, filled up with gates that are off."""
    width = -(-bits.shape[1] // _LANES) * _LANES
    if width != bits.shape[1]:
        bits = np.pad(bits, ((0, 0), (0, width - bits.shape[1])))
    return np.ascontiguousarray(bits).view(np.uint64)


def _sums(words: npt.NDArray[np.uint64], codes: npt.NDArray[np.integer], classes: int) -> Ints:
    """Sums of the rows of each class: int64 (classes, gates, filled up to whole words).

    A sparse matrix adds up rows of one class, few enough that no byte of a word overflows.
    """
    from scipy import sparse

    sizes = np.bincount(codes[codes >= 0], minlength=classes)
    known = int(sizes.sum())
    order = np.argsort(codes, kind="stable")[len(codes) - known :]
    pieces = -(-sizes // _MOST_SUMMED)
    first_piece = np.cumsum(pieces) - pieces
    owner = np.repeat(np.arange(classes), pieces)
    within = np.arange(len(owner)) - first_piece[owner]
    starts = (np.cumsum(sizes) - sizes)[owner] + _MOST_SUMMED * within
    adder = sparse.csr_matrix(
        (np.ones(known, dtype=np.uint64), order, np.append(starts, known)),
        shape=(len(owner), len(codes)),
    )
    total = np.zeros((classes, words.shape[1] * _LANES), dtype=np.int64)
    present = np.flatnonzero(sizes)
    if len(present):
        pieces_on = np.asarray(adder @ words).view(np.uint8)
        total[present] = np.add.reduceat(pieces_on, first_piece[present], axis=0, dtype=np.int64)
    return total
