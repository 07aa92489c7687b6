"""Optional columns of a part: ids of derived images, and floats such as scores and features.

They stand under `further_columns` in the manifest's `extra`, which readers that do not know them
ignore.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

FURTHER = "further_columns"
"""Key in the manifest's `extra` under which the optional columns are listed."""

TEXT_COLUMNS = ("source_image", "attack")
"""Optional columns of text about an image."""

SCORE_PREFIX = "score."
RESPONSE_PREFIX = "response."
FEATURES = "features"
LOGITS = "logits"

Floats = npt.NDArray[np.floating[Any]]
"""One value row an image: float16 or float32 (images, values)."""


@dataclass(frozen=True)
class FurtherColumn:
    """One optional column.

    Attributes:
        name: Name of the column in the parts.
        kind: "string", or the type of its values.
        values: Number of values an image; 1 for text.
    """

    name: str
    kind: Literal["string", "float16", "float32"]
    values: int = 1

    @property
    def is_text(self) -> bool:
        """Whether it holds text, and so stands among the columns about an image."""
        return self.kind == "string"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values as the file holds them: IEEE 754, little-endian."""
        return np.dtype(self.kind).newbyteorder("<")

    @property
    def arrow_type(self) -> pa.DataType:
        """Type of the column: a string, or the bytes of an image's values one after the other."""
        import pyarrow as pa

        return pa.string() if self.is_text else pa.binary(self.values * self.dtype.itemsize)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the manifest lists them."""
        return {"name": self.name, "kind": self.kind, "values": self.values}

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> FurtherColumn:
        """The inverse of `to_json`.

        Raises:
            ValueError: If the kind is not known.
        """
        if entry["kind"] not in ("string", "float16", "float32"):
            raise ValueError(f"unknown kind of column {entry['kind']!r}")
        return FurtherColumn(str(entry["name"]), entry["kind"], int(entry["values"]))

    def encode(self, values: Floats) -> pa.Array:
        """Floats (images, values) as a column; what float16 cannot hold is moved to what it can.

        A positive value stays positive, so that the sign of a score still tells the gate.
        """
        import pyarrow as pa

        rows = np.ascontiguousarray(as_float16(values) if self.kind == "float16" else values)
        content = pa.py_buffer(rows.astype(self.dtype, copy=False))
        return pa.FixedSizeBinaryArray.from_buffers(self.arrow_type, len(rows), [None, content])

    def decode(self, content: npt.NDArray[np.uint8]) -> Floats:
        """Bytes (images, values * size of one) as the column holds them, as floats (images, values)."""
        stored = np.ascontiguousarray(content).view(self.dtype)
        return stored if sys.byteorder == "little" else stored.astype(self.kind)


def as_float16(values: Floats) -> npt.NDArray[np.float16]:
    """Nearest float16; finite values stay finite, and positive ones positive."""
    limits = np.finfo(np.float16)
    bounded = np.where(np.isfinite(values), np.clip(values, limits.min, limits.max), values)
    rounded = bounded.astype(np.float16)
    vanished = (values > 0) & (rounded == 0)
    rounded[vanished] = limits.smallest_subnormal
    return rounded


def read_further(extra: Mapping[str, Any]) -> tuple[FurtherColumn, ...]:
    """The optional columns that a manifest's `extra` lists."""
    return tuple(FurtherColumn.from_json(entry) for entry in extra.get(FURTHER, ()))


def with_further(extra: Mapping[str, Any], columns: Iterable[FurtherColumn]) -> dict[str, Any]:
    """A manifest's `extra` that lists these optional columns and no others."""
    listed = [column.to_json() for column in columns]
    others = {key: value for key, value in extra.items() if key != FURTHER}
    return {**others, FURTHER: listed} if listed else others
