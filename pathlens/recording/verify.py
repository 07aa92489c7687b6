"""Proving that a recording is what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from pathlens.errors import PathLensError
from pathlens.recording.bits import padding_is_zero
from pathlens.recording.faults import damaged, naming
from pathlens.recording.listing import Listing, PartEntry
from pathlens.recording.manifest import Plan, image_fingerprint
from pathlens.recording.parts import (
    PATH_PREFIX,
    PartFault,
    packed_rows,
    part_schema,
    read_columns,
    read_footer,
    thumbnails_schema,
)


def verify(folder: Path, listing: Listing) -> None:
    """Check every file against its hash, and that what the hashes vouch for is in order.

    One part is in memory at a time, and the ids of all images.

    Raises:
        PathLensError: At the first fault; the sentence names the file and what to do.
    """
    for file in listing.files:
        fault = file.fault(folder)
        if fault is not None:
            raise damaged(folder, file.file, fault)
    ids: list[str] = []
    labels: list[int] = []
    for index, entry in enumerate(listing.parts):
        table = _verify_part(folder, listing.plan, index, entry)
        ids += table.column("image").to_pylist()
        if "label" in listing.plan.columns:
            labels += table.column("label").to_pylist()
    _verify_images(folder, listing, ids, labels or None)


def _verify_part(folder: Path, plan: Plan, index: int, entry: PartEntry) -> pa.Table:
    name = entry.data.file
    with naming(folder, name):
        footer = read_footer(folder / name, plan, index)
        if (footer.rows, len(footer.skipped)) != (entry.rows, entry.skipped):
            raise PartFault("does not have the rows that the manifest lists")
        table = read_columns(folder / name)
        _verify_columns(table, plan)
    if entry.thumbnails is not None:
        with naming(folder, entry.thumbnails.file):
            _verify_thumbnails(folder / entry.thumbnails.file, table)
    return table


def _verify_columns(table: pa.Table, plan: Plan) -> None:
    for field in part_schema(plan):
        if field.name not in table.column_names:
            raise PartFault(f"has no column {field.name}")
        found = table.schema.field(field.name).type
        if found != field.type:
            raise PartFault(f"has column {field.name} as {found} instead of {field.type}")
        if table.column(field.name).null_count:
            raise PartFault(f"has empty values in column {field.name}")
    for layer in plan.layers:
        column = PATH_PREFIX + layer.name
        if not padding_is_zero(packed_rows(table, column), layer.filters):
            raise PartFault(f"has bits past the last filter in column {column}")


def _verify_thumbnails(path: Path, rows: pa.Table) -> None:
    table = read_columns(path)
    if not table.schema.equals(thumbnails_schema()):
        raise PartFault("does not have the columns of a file of thumbnails")
    if table.column("image").to_pylist() != rows.column("image").to_pylist():
        raise PartFault("shows other images than its part")


def _verify_images(
    folder: Path, listing: Listing, ids: Sequence[str], labels: Sequence[int] | None
) -> None:
    try:
        found = image_fingerprint(ids, labels)
    except PathLensError as error:
        raise PathLensError(
            f"{folder} names an image twice: record it again into another --out. {error}"
        ) from error
    complete = len(ids) == listing.plan.images
    if complete and found != listing.plan.fingerprint:
        raise PathLensError(
            f"The images or labels in {folder} are not those that were planned, in that order: "
            "record them again into another --out."
        )
