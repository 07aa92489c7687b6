"""One part of a recording: rows to Parquet bytes, and what the file of a part tells of itself."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pathlens.layers import Layer
from pathlens.recording.bits import Bits, Packed, pack, packed_width, padding_is_zero
from pathlens.recording.further import Floats
from pathlens.recording.manifest import FORMAT_VERSION, Plan

PATH_PREFIX = "path."
"""A layer's gates stand in the column "path." + the layer's name."""

THUMBNAIL_GROUP = 256
"""Rows of a row group of thumbnails: the least that is read to show one picture."""

_TYPES = {
    "image": pa.string(),
    "label": pa.int64(),
    "prediction": pa.int64(),
    "confidence": pa.float32(),
    "macs": pa.int64(),
    "group": pa.string(),
    "content": pa.binary(8),
}


@dataclass(frozen=True)
class PartRows:
    """The images of one part, as they came out of the network.

    Attributes:
        images: A row an image that could be read, with exactly the planned columns, those of text
            among the optional ones included.
        bits: For every layer name, bool (rows, filters), or the same packed by `bits.pack`.
        thumbnails: JPEG or PNG bytes of every row, b"" for none; None if none are planned.
        skipped: Image id and error of every planned image that could not be read.
        floats: For every other optional column, (rows, values).
    """

    images: pd.DataFrame
    bits: Mapping[str, Bits | Packed]
    thumbnails: Sequence[bytes] | None = None
    skipped: Sequence[tuple[str, str]] = ()
    floats: Mapping[str, Floats] = field(default_factory=dict)


class PartFault(Exception):
    """What is wrong with the file of a part, in words that follow its name: "is missing"."""


@dataclass(frozen=True)
class Footer:
    """What the footer of a part's file tells: its rows and its skipped images."""

    rows: int
    skipped: tuple[tuple[str, str], ...]


def part_schema(plan: Plan) -> pa.Schema:
    """The columns of a part, none of them nullable."""
    columns = [(name, _TYPES[name]) for name in plan.columns]
    columns += [
        (PATH_PREFIX + layer.name, pa.binary(packed_width(layer.filters))) for layer in plan.layers
    ]
    columns += [(column.name, column.arrow_type) for column in plan.further]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


def thumbnails_schema() -> pa.Schema:
    """The columns of a file of thumbnails, none of them nullable."""
    return pa.schema(
        [
            pa.field("image", pa.string(), nullable=False),
            pa.field("thumbnail", pa.binary(), nullable=False),
        ]
    )


def encode_part(plan: Plan, index: int, rows: PartRows) -> bytes:
    """The Parquet file of a part; equal rows give equal bytes.

    Raises:
        ValueError: If the rows are not those that the plan asks for.
    """
    _check_rows(plan, index, rows)
    columns: list[Any] = [
        pa.array(rows.images[name].to_numpy(), type=_TYPES[name]) for name in plan.columns
    ]
    columns += [_packed_column(rows.bits[layer.name]) for layer in plan.layers]
    columns += [
        pa.array(rows.images[column.name].to_numpy(), type=pa.string())
        if column.is_text
        else column.encode(rows.floats[column.name])
        for column in plan.further
    ]
    schema = part_schema(plan)
    table = pa.Table.from_arrays(columns, schema=schema)
    # Path columns compress too: images of a class stand together in most datasets.
    return _encode(schema, [table], _metadata(plan, index, rows), "zstd", max(len(rows.images), 1))


def encode_thumbnails(plan: Plan, index: int, rows: PartRows) -> bytes:
    """The Parquet file of a part's thumbnails.

    Raises:
        ValueError: If there is not one thumbnail a row.
    """
    if rows.thumbnails is None or len(rows.thumbnails) != len(rows.images):
        raise ValueError(f"part {index} needs one thumbnail a row")
    schema = thumbnails_schema()
    names, pictures = rows.images["image"].to_numpy(), rows.thumbnails

    def group(start: int) -> pa.Table:
        some = slice(start, start + THUMBNAIL_GROUP)
        return pa.Table.from_arrays(
            [pa.array(names[some], pa.string()), pa.array(pictures[some], pa.binary())],
            schema=schema,
        )

    # Group by group, as pictures are the largest that a part has.
    groups = map(group, range(0, max(len(names), 1), THUMBNAIL_GROUP))
    return _encode(schema, groups, _metadata(plan, index, rows), "none", THUMBNAIL_GROUP)


def read_footer(path: Path, plan: Plan, index: int) -> Footer:
    """What the footer of a part or of its thumbnails tells.

    Raises:
        PartFault: If there is no such file, no whole footer, or one of another recording or part.
    """
    if not path.is_file():
        raise PartFault("is missing")
    if path.stat().st_size == 0:
        raise PartFault("is empty")
    try:
        footer = pq.read_metadata(path)
        facts = {key.decode(): value.decode() for key, value in (footer.metadata or {}).items()}
        skipped = tuple(
            (str(i), str(e)) for i, e in json.loads(facts.get("pathlens.skipped", "[]"))
        )
    except (OSError, pa.ArrowException, ValueError) as error:
        raise PartFault("is cut short or damaged: its footer cannot be read") from error
    if facts.get("pathlens.plan") != plan.hash:
        raise PartFault("belongs to another recording (another checkpoint, images or settings)")
    if facts.get("pathlens.part") != str(index):
        raise PartFault(f"is part {facts.get('pathlens.part')} under a wrong name")
    if footer.num_rows + len(skipped) != len(plan.part_range(index)):
        raise PartFault(
            f"has {footer.num_rows} rows and {len(skipped)} skipped images instead of "
            f"{len(plan.part_range(index))} together"
        )
    return Footer(int(footer.num_rows), skipped)


def read_plan_hash(path: Path) -> str | None:
    """The hash of the plan that a part was written for; None if the file does not tell."""
    try:
        return str((pq.read_metadata(path).metadata or {})[b"pathlens.plan"].decode())
    except (OSError, pa.ArrowException, ValueError, KeyError):
        return None


def read_columns(path: Path, names: Sequence[str] | None = None) -> pa.Table:
    """Columns of a part's file, all for None; every page is checked against its checksum.

    Raises:
        PartFault: If a page is damaged or a column is missing.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            # Arrow takes "a" for the nested group "a.b" too, hence the selection by exact name.
            table = file.read(columns=None if names is None else list(names), use_threads=False)
            return table if names is None else table.select(list(names))
    except FileNotFoundError as error:
        raise PartFault("is missing") from error
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        raise PartFault("is damaged: its rows cannot be read") from error


def read_thumbnails(path: Path, rows: Sequence[int]) -> dict[int, bytes]:
    """The thumbnails of some rows, by row; only the row groups that hold them are read.

    Raises:
        PartFault: If a page is damaged.
    """
    found: dict[int, bytes] = {}
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            start = 0
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                inside = [row for row in rows if start <= row < stop]
                if inside:
                    pictures = file.read_row_group(group, columns=["thumbnail"]).column(0)
                    found |= {row: pictures[row - start].as_py() for row in inside}
                start = stop
    except (OSError, pa.ArrowException, ValueError) as error:
        raise PartFault("is damaged or missing: its pictures cannot be read") from error
    return found


def packed_rows(table: pa.Table, name: str) -> npt.NDArray[np.uint8]:
    """The fixed-size-binary column `name` as uint8 (rows, bytes)."""
    width = table.schema.field(name).type.byte_width
    chunks = [_chunk_bytes(chunk, width) for chunk in table.column(name).chunks]
    if len(chunks) == 1:
        return chunks[0]
    return np.concatenate([np.empty((0, width), dtype=np.uint8), *chunks])


def _chunk_bytes(chunk: Any, width: int) -> npt.NDArray[np.uint8]:
    buffer = chunk.buffers()[1]
    if buffer is None or not len(chunk):
        return np.empty((0, width), dtype=np.uint8)
    flat = np.frombuffer(
        buffer, dtype=np.uint8, count=len(chunk) * width, offset=chunk.offset * width
    )
    return flat.reshape(-1, width)


def _packed_column(bits: Bits | Packed) -> Any:
    packed = np.ascontiguousarray(bits if bits.dtype == np.uint8 else pack(cast("Bits", bits)))
    kind = pa.binary(packed.shape[1])
    return pa.FixedSizeBinaryArray.from_buffers(kind, len(packed), [None, pa.py_buffer(packed)])


def _metadata(plan: Plan, index: int, rows: PartRows) -> dict[str, str]:
    return {
        "pathlens.format_version": str(FORMAT_VERSION),
        "pathlens.plan": plan.hash,
        "pathlens.part": str(index),
        "pathlens.skipped": json.dumps([list(pair) for pair in rows.skipped], ensure_ascii=False),
    }


def _encode(
    schema: pa.Schema, tables: Iterable[pa.Table], metadata: dict[str, str], codec: str, group: int
) -> bytes:
    content = io.BytesIO()
    with pq.ParquetWriter(
        content,
        schema,
        compression=codec,
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
        store_schema=False,
        # Arrow's own pool keeps what it was once given, some 20 MB.
        memory_pool=pa.system_memory_pool(),
    ) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=group)
        writer.add_key_value_metadata(metadata)
    return content.getvalue()


def _check_rows(plan: Plan, index: int, rows: PartRows) -> None:
    count = len(rows.images)
    if set(rows.images.columns) != set(plan.about_images):
        raise ValueError(f"columns {list(rows.images.columns)} are not {list(plan.about_images)}")
    if rows.images.isna().to_numpy().any():
        raise ValueError(f"part {index} has empty values in its image columns")
    if count + len(rows.skipped) != len(plan.part_range(index)):
        raise ValueError(
            f"part {index} holds {len(plan.part_range(index))} images, "
            f"not {count} rows and {len(rows.skipped)} skipped ones"
        )
    for layer in plan.layers:
        _check_bits(rows.bits.get(layer.name), count, layer)
    for column in plan.further:
        found = np.shape(rows.floats[column.name]) if column.name in rows.floats else None
        if not column.is_text and found != (count, column.values):
            raise ValueError(f"{column.name}: {found} instead of {(count, column.values)}")
    if (rows.thumbnails is not None) != plan.thumbnails:
        raise ValueError("thumbnails are given without being planned, or the reverse")


def _check_bits(bits: Bits | Packed | None, rows: int, layer: Layer) -> None:
    packed = bits is not None and bits.dtype == np.uint8
    wanted = (rows, packed_width(layer.filters) if packed else layer.filters)
    if bits is None or bits.shape != wanted:
        found = None if bits is None else bits.shape
        raise ValueError(f"bits of {layer.name}: {found} instead of {wanted}")
    if packed and not padding_is_zero(cast("Packed", bits), layer.filters):
        raise ValueError(f"bits of {layer.name}: padding that is not zero")
