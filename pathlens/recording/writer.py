"""Writing a recording part by part, so that nothing finished is ever lost or taken for more."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pathlens.errors import PathLensError
from pathlens.files import clear_disk_errors, write_bytes, write_json, write_text
from pathlens.lock import FolderLock
from pathlens.recording.listing import (
    FileEntry,
    Listing,
    PartEntry,
    read_listing,
    read_marker,
    skipped_table,
)
from pathlens.recording.manifest import (
    CONCEPTS,
    LOCK,
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
    read_columns,
    read_footer,
    read_plan_hash,
)

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.recording.reader import Recording

_SCRAP = {LOCK, MARKER, MARKER + ".partial"}
"""What a process killed before its first part can leave in a folder."""


class RecordingWriter:
    """Writes the parts of one plan into one folder, or goes on where another process stopped.

    The folder is locked until `close`, `finish` or the end of the process. A finished recording in
    which a file has been damaged is repaired: the broken parts are among `missing_parts`, and each
    must be made again exactly as it was.

    Args:
        folder: Folder of the recording; made if it is not there.
        plan: What is to be recorded.

    Raises:
        PathLensError: If the folder holds a recording of another plan or other files, is being
            written by another process, or may not be written.
    """

    def __init__(self, folder: str | Path, plan: Plan) -> None:
        self.folder = Path(folder)
        self.plan = plan
        self._listed: Listing | None = None
        self._whole: dict[int, PartEntry | None] = {}
        with clear_disk_errors(self.folder):
            self._make_folder()
        # Looked at before the lock file is put into what may be someone else's folder, and again
        # under the lock, when nobody changes it any more.
        self._check_earlier()
        self._lock = FolderLock(self.folder / LOCK)
        try:
            self._take_over()
        except BaseException:
            self.close()
            raise

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise PathLensError(
                f"{self.folder} is not a folder: give another --out to record into."
            ) from error

    def _check_earlier(self) -> None:
        earlier = self._earlier_plan()
        if earlier is None or earlier == self.plan:
            return
        state = "a finished" if (self.folder / MANIFEST).exists() else "an unfinished"
        raise PathLensError(
            f"{self.folder} holds {state} recording of {_join(self.plan.differences(earlier))}: "
            "give another --out, or delete that folder."
        )

    def _earlier_plan(self) -> Plan | None:
        if (self.folder / MANIFEST).exists():
            try:
                return read_listing(self.folder)[1].plan
            except PathLensError:
                if not self._has_own_parts():
                    raise
                return self.plan
        marked = read_marker(self.folder)
        if marked is not None:
            return marked
        if self._has_own_parts():
            return self.plan
        if {path.name for path in self.folder.iterdir()} <= _SCRAP:
            return None
        raise PathLensError(
            f"{self.folder} is not empty and holds no recording of these images and this "
            "checkpoint: give another --out."
        )

    def _has_own_parts(self) -> bool:
        return any(
            read_plan_hash(path) == self.plan.hash for path in self.folder.glob("part-*.parquet")
        )

    def _take_over(self) -> None:
        self._check_earlier()
        if (self.folder / MANIFEST).exists():
            try:
                self._listed = read_listing(self.folder)[1]
            except PathLensError:
                self._listed = None
        if self._listed is None:
            write_json(self.folder / MARKER, self.plan.to_json())

    @property
    def finished(self) -> bool:
        """Whether the recording is finished and every file has the bytes that were recorded."""
        listed = self._listed
        return (
            listed is not None
            and not self.missing_parts()
            and listed.skipped_file.fault(self.folder) is None
        )

    def missing_parts(self) -> list[int]:
        """Numbers of the parts that are not there or not whole.

        Parts of a finished recording are compared with their hashes; in an unfinished one every
        page of a part is read and compared with its checksum. Each part is looked at once.
        """
        for index in range(self.plan.parts):
            if index not in self._whole:
                self._whole[index] = self._look_at(index)
        return [index for index in range(self.plan.parts) if self._whole[index] is None]

    def _look_at(self, index: int) -> PartEntry | None:
        if self._listed is not None:
            entry = self._listed.parts[index]
            faults = [file.fault(self.folder) for file in entry.files]
            return None if any(faults) else entry
        try:
            return self._read_entry(index)
        except PartFault:
            return None

    def _read_entry(self, index: int) -> PartEntry:
        path = self.folder / part_name(index)
        footer = read_footer(path, self.plan, index)
        read_columns(path)
        thumbnails = None
        if self.plan.thumbnails:
            beside = self.folder / thumbnails_name(index)
            if read_footer(beside, self.plan, index) != footer:
                raise PartFault("has thumbnails of other rows")
            read_columns(beside)
            thumbnails = FileEntry.of_file(beside)
        return PartEntry(FileEntry.of_file(path), footer.rows, len(footer.skipped), thumbnails)

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

    def _check_repair(self, index: int, entry: PartEntry) -> None:
        if self._listed is not None and self._listed.parts[index] != entry:
            raise PathLensError(
                f"{part_name(index)} of {self.folder} did not come out as it was recorded, as its "
                "images, the software or the device have changed since: record everything into "
                "another --out."
            )

    def write_concepts(self, concepts: pd.DataFrame) -> None:
        """Put a concept table (columns image, concept, value) beside the parts."""
        write_text(self.folder / CONCEPTS, concepts.to_csv(index=False, lineterminator="\n"))

    def finish(self) -> Recording:
        """List what was recorded, the manifest last, and open the recording.

        Raises:
            PathLensError: If a part is missing or the disk is full.
        """
        from pathlens.recording.reader import open_recording

        if not self.finished:
            self._write_listing()
        for name in self._leftovers():
            (self.folder / name).unlink(missing_ok=True)
        self.close()
        return open_recording(self.folder)

    def _write_listing(self) -> None:
        missing = self.missing_parts()
        if missing:
            raise PathLensError(
                f"{self.folder} still lacks {len(missing)} of {self.plan.parts} parts, the first "
                f"being {part_name(missing[0])}: run the same `pathlens record` command again."
            )
        skipped = skipped_table(self._skipped())
        parts = tuple(entry for _, entry in sorted(self._whole.items()) if entry is not None)
        listing = Listing(self.plan, parts, FileEntry.of(SKIPPED, skipped))
        write_bytes(self.folder / SKIPPED, skipped)
        # The names of the parts must be on disk before the name of the manifest is.
        self._flush_folder()
        write_json(self.folder / MANIFEST, listing.to_json())
        self._flush_folder()
        self._listed = listing

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


def _join(words: list[str]) -> str:
    return " and ".join(words)
