"""Packed bits: filter j of a layer is bit j % 8 (the lowest is 0) of byte j // 8; padding is 0."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.bool_]
"""Gates: bool (images, filters), True where the gate is on."""

Packed = npt.NDArray[np.uint8]
"""The same, eight filters a byte: uint8 (images, ceil(filters / 8))."""


def packed_width(filters: int) -> int:
    """Bytes that the gates of one image and layer take: ceil(filters / 8)."""
    return -(-filters // 8)


def pack(bits: Bits) -> Packed:
    """Pack bool (images, filters) into uint8 (images, ceil(filters / 8)).

    Raises:
        ValueError: If the array is not two-dimensional and bool.
    """
    if bits.ndim != 2 or bits.dtype != np.bool_:
        raise ValueError(f"bits must be bool (images, filters), not {bits.dtype} {bits.shape}")
    return np.packbits(bits, axis=1, bitorder="little")


def unpack(packed: Packed | bytes, filters: int) -> Bits:
    """The inverse of `pack`.

    Args:
        packed: uint8 (images, ceil(filters / 8)), or the bytes of its rows one after the other.
        filters: Number of filters, which the packed bytes do not tell.

    Returns:
        bool (images, filters).

    Raises:
        ValueError: If the bytes do not make whole rows for that number of filters.
    """
    rows = _as_rows(packed, filters)
    return np.unpackbits(rows, axis=1, count=filters, bitorder="little").view(np.bool_)


def padding_is_zero(packed: Packed | bytes, filters: int) -> bool:
    """Whether the bits past the last filter are 0 in every row."""
    rows = _as_rows(packed, filters)
    if filters % 8 == 0:
        return True
    padding = np.uint8((0xFF << (filters % 8)) & 0xFF)
    return not bool(np.any(rows[:, -1] & padding))


def _as_rows(packed: Packed | bytes, filters: int) -> Packed:
    width = packed_width(filters)
    if isinstance(packed, np.ndarray):
        rows = packed
    else:
        flat = np.frombuffer(packed, dtype=np.uint8)
        if flat.size % width:
            raise ValueError(f"{flat.size} bytes are no whole rows of {width} bytes")
        rows = flat.reshape(-1, width)
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(
            f"{filters} filters need uint8 (images, {width}), not {rows.dtype} {rows.shape}"
        )
    return rows
