"""Packing numbers, bits and pictures so that the page stays small and cannot be broken by text."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import numpy.typing as npt


def base64_text(content: bytes) -> str:
    """Base64 of bytes, as ASCII text."""
    return base64.b64encode(content).decode("ascii")


def packed_bits(bits: npt.NDArray[np.bool_]) -> str:
    """Base64 of a bool array (rows, columns): a row starts at a byte, bit j % 8 of byte j // 8."""
    return base64_text(np.packbits(bits, axis=1, bitorder="little").tobytes())


def packed_shares(values: npt.ArrayLike) -> str:
    """Base64 of little-endian uint16 for numbers from 0 to 1: 0 is 0, 65,535 is 1."""
    shares = np.clip(np.asarray(values, dtype=np.float64), 0.0, 1.0)
    return base64_text(np.rint(shares * 65535).astype("<u2").tobytes())


def page_json(value: Any) -> str:
    """JSON that can stand inside `<script type="application/json">` whatever text it holds.

    `<`, `>` and `&` are written as escapes, so that no class or file name can end the element or
    open a comment; U+2028 and U+2029 likewise.

    Raises:
        ValueError: If a number is not finite; the caller turns those into None.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def finite(value: Any, digits: int = 6) -> Any:
    """A JSON value for a table's cell: rounded number, bool, text, or None for what is missing."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.{digits}g}") if np.isfinite(value) else None
    return str(value)


def small_picture(content: bytes, side: int = 56) -> bytes:
    """The picture as a JPEG of at most `side` pixels a side; b"" if it cannot be read.

    JPEGs that are small enough already stay as they are.
    """
    from PIL import Image

    if not content:
        return b""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.format == "JPEG" and max(picture.size) <= side and len(content) < 4096:
                return content
            small = picture.convert("RGB")
            small.thumbnail((side, side))
            target = io.BytesIO()
            small.save(target, format="JPEG", quality=80)
    except (OSError, ValueError):
        return b""
    return target.getvalue()


def pictures_within(pictures: list[bytes], budget: int) -> list[str]:
    """Base64 of the pictures, in order; "" for empty ones and past `budget` bytes."""
    packed = []
    used = 0
    for content in pictures:
        used += len(content)
        packed.append(base64_text(content) if content and used <= budget else "")
    return packed
