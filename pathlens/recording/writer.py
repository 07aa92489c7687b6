"""Writing a recording part by part, so that nothing finished is ever lost or taken for more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pathlens.errors import PathLensError
from pathlens.files import write_bytes, write_json, write_text
from pathlens.recording.earlier import check_earlier, make_folder
from pathlens.recording.listing import FileEntry, Listing, PartEntry, read_listing, skipped_table
from pathlens.recording.manifest import (
    CONCEPTS,
    MANIFEST,
    MARKER,
    SKIPPED,
    Plan,
    part_name,
    thumbnails_name,
)
from pathlens.recording.parts import (
    PartFault,
    PartRows,
    encode_part,
    encode_thumbnails,
    read_footer,
)
from pathlens.recording.shards import (
    OtherShardsMissingError,
    Shard,
    claim,
    gate,
    sweep_locks,
)
from pathlens.recording.whole import whole_part

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.recording.reader import Recording

WHOLE = Shard()
"""All parts of a recording."""

_FEW = 10
"""So many unreadable images are never too many; past that, a tenth of the planned ones is."""


class RecordingWriter:
    """Writes the parts of one plan into one folder, or goes on where another process stopped.

    The folder is locked until `close`, `finish` or the end of the process; with a shard, only the
    parts of that shard are, so that other shards can be written into it at the same time. A finished
    recording in which a file has been damaged is repaired: the broken parts are among
    `missing_parts`, and each must be made again exactly as it was.

    Args:
        folder: Folder of the recording; made if it is not there.
        plan: What is to be recorded.
        shard: Which parts are written here; all if not given.

    Raises:
        PathLensError: If the folder holds a recording of another plan or other files, is being
            written by another process, or may not be written.
    """

    def __init__(self, folder: str | Path, plan: Plan, shard: Shard = WHOLE) -> None:
        self.folder = Path(folder)
        self.plan = plan
        self.shard = shard
        self._listed: Listing | None = None
        self._whole: dict[int, PartEntry | None] = {}
        make_folder(self.folder)
        # Looked at before the lock file is put into what may be someone else's folder, and again
        # under the lock, when nobody changes it any more.
        check_earlier(self.folder, plan)
        with nullcontext() if shard.whole else gate(self.folder):
            self._lock = claim(self.folder, shard, plan.parts)
            try:
                self._take_over()
            except BaseException:
                self.close()
                raise

    def _take_over(self) -> None:
        check_earlier(self.folder, self.plan)
        self._listed = self._read_listed()
        if self._listed is None:
            write_json(self.folder / MARKER, self.plan.to_json())

    def _read_listed(self) -> Listing | None:
        if not (self.folder / MANIFEST).exists():
            return None
        try:
            return read_listing(self.folder)[1]
        except PathLensError:
            return None

    @property
    def parts(self) -> range:
        """Numbers of the parts that are written here: all, or those of the shard."""
        return self.shard.parts(self.plan.parts)

    @property
    def finished(self) -> bool:
        """Whether the recording is finished and every file has the bytes that were recorded.

        Of a shard, whether it is finished and the parts of the shard have them.
        """
        listed = self._listed
        return (
            listed is not None
            and not self.missing_parts()
            and listed.skipped_file.fault(self.folder) is None
        )

    def missing_parts(self) -> list[int]:
        """Numbers of the parts, of those that are written here, that are not there or not whole.

        Parts of a finished recording are compared with their hashes; in an unfinished one every
        page of a part is read and compared with its checksum. Each part is looked at once.
        """
        for index in self.parts:
            if index not in self._whole:
                self._whole[index] = self._look_at(index)
        return [index for index in self.parts if self._whole[index] is None]

    def _look_at(self, index: int) -> PartEntry | None:
        if self._listed is not None:
            entry = self._listed.parts[index]
            faults = [file.fault(self.folder) for file in entry.files]
            return None if any(faults) else entry
        try:
            return whole_part(self.folder, self.plan, index)
        except PartFault:
            return None

    def part_range(self, index: int) -> range:
        """Planned positions of the images of part `index`."""
        return self.plan.part_range(index)

    def write_part(self, index: int, rows: PartRows) -> None:
        """Write a part: its thumbnails, then its rows, each whole or not at all.

        Raises:
            PathLensError: If the disk is full, or a part of a finished recording did not come out
                as it was recorded.
            ValueError: If the rows are not those that the plan asks for.
        """
        content = {part_name(index): encode_part(self.plan, index, rows)}
        if self.plan.thumbnails:
            beside = {thumbnails_name(index): encode_thumbnails(self.plan, index, rows)}
            content = beside | content
        entries = {name: FileEntry.of(name, file) for name, file in content.items()}
        entry = PartEntry(
            data=entries[part_name(index)],
            rows=len(rows.images),
            skipped=len(rows.skipped),
            thumbnails=entries.get(thumbnails_name(index)),
        )
        self._check_repair(index, entry)
        for name, file in content.items():
            write_bytes(self.folder / name, file)
        self._whole[index] = entry

    def take_part(self, index: int, entry: PartEntry, place: Path) -> None:
        """Copy a part, its thumbnails first, from a folder in which it is whole.

        Raises:
            PathLensError: If the disk is full, or a part of a finished recording is another one.
        """
        self._check_repair(index, entry)
        for file in reversed(entry.files):
            content = (place / file.file).read_bytes()
            if FileEntry.of(file.file, content) != file:
                raise PathLensError(f"{place / file.file} changes while it is read: try again.")
            write_bytes(self.folder / file.file, content)
        self._whole[index] = entry

    def _check_repair(self, index: int, entry: PartEntry) -> None:
        if self._listed is not None and self._listed.parts[index] != entry:
            raise PathLensError(
                f"{part_name(index)} of {self.folder} did not come out as it was recorded, as its "
                "images, the software or the device have changed since: record everything into "
                "another --out, or, where only images have changed, give --changed."
            )

    def discard(self, parts: Sequence[int]) -> None:
        """Take away parts that are whole but no longer right, so that they are made again.

        A finished recording becomes an unfinished one, and then, when it is finished again, another
        recording with another hash: what lies beside it belongs to the one that was.
        """
        if not parts:
            return
        write_json(self.folder / MARKER, self.plan.to_json())
        self._flush_folder()
        (self.folder / MANIFEST).unlink(missing_ok=True)
        self._flush_folder()
        self._listed = None
        for index in parts:
            (self.folder / part_name(index)).unlink(missing_ok=True)
            self._whole[index] = None

    def write_concepts(self, concepts: pd.DataFrame) -> None:
        """Put a concept table (columns image, concept, value) beside the parts."""
        with self._alone():
            write_text(self.folder / CONCEPTS, concepts.to_csv(index=False, lineterminator="\n"))

    def finish(self) -> Recording:
        """List what was recorded, the manifest last, and open the recording.

        Raises:
            OtherShardsMissingError: If all parts that are written here are there, and others not.
            PathLensError: If a part is missing, too many images could not be read, or the disk is
                full.
        """
        from pathlens.recording.reader import open_recording

        with self._alone():
            if not self.shard.whole:
                self._listed = self._read_listed()
            self._check_others()
            if not self.finished:
                self._write_listing()
            for name in self._leftovers():
                (self.folder / name).unlink(missing_ok=True)
            sweep_locks(self.folder)
        self.close()
        return open_recording(self.folder)

    def _alone(self) -> AbstractContextManager[None]:
        """Nobody else finishes the recording meanwhile; a whole recording is locked anyway."""
        return nullcontext() if self.shard.whole else gate(self.folder, patience=None)

    def _write_listing(self) -> None:
        missing = self.missing_parts()
        if missing:
            raise PathLensError(
                f"{self.folder} still lacks {len(missing)} of {self.plan.parts} parts, the first "
                f"being {part_name(missing[0])}: run the same `pathlens record` command again."
            )
        skipped = self._skipped()
        self._check_skipped(skipped)
        parts = tuple(entry for _, entry in sorted(self._whole.items()) if entry is not None)
        listing = Listing(self.plan, parts, FileEntry.of(SKIPPED, skipped_table(skipped)))
        write_bytes(self.folder / SKIPPED, skipped_table(skipped))
        # The names of the parts must be on disk before the name of the manifest is.
        self._flush_folder()
        write_json(self.folder / MANIFEST, listing.to_json())
        self._flush_folder()
        self._listed = listing

    def _check_others(self) -> None:
        """Look for the parts of other shards; they are read only once all of them are there."""
        others = [index for index in range(self.plan.parts) if index not in self.parts]
        missing = [i for i in others if not (self.folder / part_name(i)).exists()]
        if not missing and self._listed is None:
            self._whole |= {index: self._look_at(index) for index in others}
            missing = [index for index in others if self._whole[index] is None]
        if missing and not self.missing_parts():
            raise OtherShardsMissingError(
                f"Shard {self.shard} is finished, and {self.folder} still lacks {len(missing)} of "
                f"{self.plan.parts} parts, the first being {part_name(missing[0])}: run the other "
                "shards, or join them with `pathlens merge` if they stand in other folders."
            )

    def _check_skipped(self, skipped: list[tuple[str, str]]) -> None:
        if len(skipped) > max(_FEW, self.plan.images // 10):
            image, error = skipped[0]
            raise PathLensError(
                f"{len(skipped)} of {self.plan.images} images cannot be read, the first being "
                f"{image} ({error}): mend the files and run the same command with --changed, or "
                "take them out of the folder and give another --out."
            )

    def _skipped(self) -> list[tuple[str, str]]:
        return [
            pair
            for index in range(self.plan.parts)
            for pair in read_footer(self.folder / part_name(index), self.plan, index).skipped
        ]

    def _flush_folder(self) -> None:
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _leftovers(self) -> list[str]:
        """Files that only an unfinished recording has, and halves of files from killed writers."""
        whole = [MANIFEST, MARKER, SKIPPED, CONCEPTS]
        for index in range(self.plan.parts):
            whole += [part_name(index), thumbnails_name(index)]
        return [MARKER] + [name + ".partial" for name in whole]

    def close(self) -> None:
        """Unlock the folder; what was written stays, and can be resumed."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
