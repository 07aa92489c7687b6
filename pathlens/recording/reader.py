"""Reading a recording: nothing but the columns that are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pathlens.concepts import read_concepts
from pathlens.errors import PathLensError
from pathlens.files import file_hash
from pathlens.layers import Layer, LayerSpec, LayerTable
from pathlens.recording.bits import Bits, Packed, unpack
from pathlens.recording.content import CONTENT
from pathlens.recording.faults import damaged, naming
from pathlens.recording.further import (
    FEATURES,
    LOGITS,
    RESPONSE_PREFIX,
    SCORE_PREFIX,
    Floats,
)
from pathlens.recording.listing import Listing, read_listing, read_marker
from pathlens.recording.manifest import CONCEPTS, MANIFEST, MARKER, part_name
from pathlens.recording.parts import (
    PATH_PREFIX,
    PartFault,
    packed_rows,
    read_columns,
    read_footer,
    read_thumbnails,
)

_ROWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Recording:
    """A finished recording; made by `open_recording`.

    Attributes:
        folder: Its folder.
        manifest: `recording.json`, parsed.
        hash: SHA-256 of `recording.json`: what lies beside a recording is keyed by it.
    """

    folder: Path
    manifest: dict[str, Any] = field(repr=False)
    hash: str
    listing: Listing = field(repr=False)

    def __len__(self) -> int:
        return int(self.manifest["images"])

    @property
    def layers(self) -> LayerTable:
        """The gated layers."""
        return self.listing.plan.layers

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; empty if unknown."""
        return tuple(self.listing.plan.classes)

    @cached_property
    def images(self) -> pd.DataFrame:
        """A row an image: `image`, and what is known of it.

        That is some of label, prediction, confidence, macs, group, source_image and attack. `label`
        and `prediction` are int64, `confidence` float32, `macs` int64 multiply-adds.
        """
        names = [name for name in self.listing.plan.about_images if name != CONTENT]
        tables = [self._read(index, names) for index in self._parts()]
        frame: pd.DataFrame = pa.concat_tables(tables).to_pandas()
        return frame

    @property
    def skipped(self) -> pd.DataFrame:
        """The images that could not be read: columns image and error."""
        path = self.folder / self.listing.skipped_file.file
        return pd.read_csv(path, dtype=str, keep_default_na=False)

    def bits(self, layer: LayerSpec) -> Bits:
        """Gates of one layer, bool (images, filters); no other column is read.

        Raises:
            PathLensError: If there is no such layer, or the file of a part is damaged.
        """
        return self._bits_of([self.layers.find(layer)])

    def path_bits(self, specs: Iterable[LayerSpec] | None = None) -> Bits:
        """Gates of several layers side by side, bool (images, filters of all chosen layers).

        Args:
            specs: Layers by number, name or glob; all for None. Columns are in layer order.

        Raises:
            PathLensError: If a layer does not exist, or the file of a part is damaged.
        """
        return self._bits_of(self.layers.select(specs))

    def bits_in_parts(self, layer: LayerSpec) -> Iterator[Bits]:
        """Gates of one layer part by part, bool (images of the part, filters): for large layers.

        Raises:
            PathLensError: If there is no such layer, or, as it comes to it, a part is damaged.
        """
        chosen = [self.layers.find(layer)]
        return (self._part_bits(index, chosen) for index in self._parts())

    def scores(self, layer: LayerSpec) -> Floats:
        """What the gates of one layer were decided from, float16 (images, filters).

        The logits g of the gating module; of a baseline, the values before they were thresholded.

        Raises:
            PathLensError: If there is no such layer, or scores were not recorded.
        """
        return self._floats(SCORE_PREFIX + self.layers.find(layer).name, "scores")

    def responses(self, layer: LayerSpec) -> Floats:
        """Pooled responses of one layer, float32 (images, filters).

        The global average of each filter's output before its gate multiplies it, after the
        activation where one follows directly.

        Raises:
            PathLensError: If there is no such layer, or responses were not recorded.
        """
        return self._floats(RESPONSE_PREFIX + self.layers.find(layer).name, "responses")

    def features(self) -> Floats:
        """Penultimate features, the input of the classifier: float32 (images, features).

        Raises:
            PathLensError: If they were not recorded.
        """
        return self._floats(FEATURES, "features")

    def logits(self) -> Floats:
        """Class scores before the softmax, float32 (images, classes).

        Raises:
            PathLensError: If they were not recorded.
        """
        return self._floats(LOGITS, "logits")

    def thumbnails(self, positions: Sequence[int] | np.ndarray[Any, Any]) -> list[bytes]:
        """JPEG or PNG bytes of the images at `positions`; b"" where there is none.

        Raises:
            IndexError: If a position is not one of an image.
            PathLensError: If the file of a part is damaged.
        """
        wanted = np.asarray(positions, dtype=np.int64)
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"positions must lie between 0 and {len(self) - 1}")
        if not self.listing.plan.thumbnails:
            return [b""] * len(wanted)
        starts = self._starts()
        parts = np.searchsorted(starts, wanted, side="right") - 1
        found: dict[int, bytes] = {}
        for index in np.unique(parts):
            rows = np.unique(wanted[parts == index] - starts[index])
            pictures = self._part_thumbnails(int(index), rows.tolist())
            found |= {int(starts[index]) + row: picture for row, picture in pictures.items()}
        return [found[int(position)] for position in wanted]

    def concepts(self) -> pd.DataFrame | None:
        """The concept table beside the parts (image, concept, value); None if there is none.

        Raises:
            PathLensError: If it is not a concept table, as `pathlens.concepts.read_concepts` says.
        """
        path = self.folder / CONCEPTS
        return read_concepts(path) if path.exists() else None

    def verify(self) -> None:
        """Prove that every row is what was recorded: hashes, row counts, unique ids, zero padding.

        Raises:
            PathLensError: If anything is not; the sentence names the file and what to do.
        """
        from pathlens.recording.verify import verify

        verify(self.folder, self.listing)

    def _parts(self) -> range:
        return range(len(self.listing.parts))

    def _starts(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Position of the first row of every part, and the number of all rows."""
        return np.cumsum([0] + [part.rows for part in self.listing.parts])

    def _read(self, index: int, columns: Sequence[str]) -> pa.Table:
        name = self.listing.parts[index].data.file
        with naming(self.folder, name):
            return read_columns(self.folder / name, columns)

    def _bits_of(self, layers: Sequence[Layer]) -> Bits:
        bits = np.empty((len(self), sum(layer.filters for layer in layers)), dtype=np.bool_)
        for index, start in zip(self._parts(), self._starts(), strict=False):
            self._part_bits(index, layers, bits[start : start + self.listing.parts[index].rows])
        return bits

    def _part_bits(self, index: int, layers: Sequence[Layer], rows: Bits | None = None) -> Bits:
        """Gates of some layers of one part side by side, written into `rows` if given."""
        table = self._read(index, [PATH_PREFIX + layer.name for layer in layers])
        if rows is None:
            rows = np.empty((table.num_rows, sum(x.filters for x in layers)), dtype=np.bool_)
        end = 0
        for layer in layers:
            place = slice(end, end := end + layer.filters)
            _unpack_into(rows[:, place], packed_rows(table, PATH_PREFIX + layer.name))
        return rows

    def _floats(self, name: str, flag: str) -> Floats:
        """One optional column of floats; nothing else is read."""
        column = next((known for known in self.listing.plan.further if known.name == name), None)
        if column is None:
            raise PathLensError(
                f"{self.folder} holds no {flag}: record it again into another --out with "
                f"`pathlens record --with {flag}`, or give it to `write_recording`."
            )
        rows = np.empty((len(self), column.values), dtype=column.kind)
        for index, start in zip(self._parts(), self._starts(), strict=False):
            table = self._read(index, [name])
            rows[start : start + table.num_rows] = column.decode(packed_rows(table, name))
        return rows

    def _part_thumbnails(self, index: int, rows: list[int]) -> dict[int, bytes]:
        """The thumbnails of some rows of one part, by row."""
        entry = self.listing.parts[index].thumbnails
        assert entry is not None
        with naming(self.folder, entry.file):
            return read_thumbnails(self.folder / entry.file, rows)


def _unpack_into(rows: Bits, packed: Packed) -> None:
    if len(packed) != len(rows):
        raise PartFault(f"does not have the {len(rows)} rows that were recorded")
    # Few rows at a time stay in the cache; fresh memory for all costs as much as the unpacking.
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = slice(start, start + _ROWS_AT_ONCE)
        rows[some] = unpack(packed[some], rows.shape[1])


def open_recording(folder: str | Path) -> Recording:
    """Open a finished recording; its parts must be there with the right sizes and row counts.

    Args:
        folder: Folder of the recording, or its `recording.json`.

    Raises:
        PathLensError: If there is no recording, an unfinished or damaged one, or one of a newer
            format version.
    """
    path = Path(folder)
    path = path.parent if path.name == MANIFEST else path
    if not (path / MANIFEST).is_file():
        raise _unopened(path)
    manifest, listing = read_listing(path)
    for index, entry in enumerate(listing.parts):
        for file in entry.files:
            fault = file.size_fault(path)
            if fault is not None:
                raise damaged(path, file.file, fault)
            with naming(path, file.file):
                if read_footer(path / file.file, listing.plan, index).rows != entry.rows:
                    raise PartFault(f"does not have the {entry.rows} rows that were recorded")
    fault = listing.skipped_file.size_fault(path)
    if fault is not None:
        raise damaged(path, listing.skipped_file.file, fault)
    return Recording(path, manifest, file_hash(path / MANIFEST), listing)


def _unopened(folder: Path) -> PathLensError:
    if not folder.is_dir():
        return PathLensError(
            f"There is no recording folder {folder}: make one with `pathlens record`."
        )
    plan = read_marker(folder)
    if plan is None and not (folder / MARKER).exists():
        return PathLensError(
            f"{folder} is not a recording, it has no {MANIFEST}: give the folder that "
            "`pathlens record` has made."
        )
    there = "an unknown number of its parts is"
    if plan is not None:
        present = sum((folder / part_name(index)).exists() for index in range(plan.parts))
        there = f"{present} of {plan.parts} parts are"
    return PathLensError(
        f"{folder} is an unfinished recording, {there} there: run the same `pathlens record` "
        "command again to finish it."
    )
