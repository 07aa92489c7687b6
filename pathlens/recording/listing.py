"""What a finished recording lists: its files with their sizes and hashes; reading the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathlens.errors import PathLensError
from pathlens.files import file_hash, read_json
from pathlens.recording.manifest import AGAIN, FORMAT, FORMAT_VERSION, MANIFEST, MARKER, Plan


@dataclass(frozen=True)
class FileEntry:
    """One file of a recording: its name, its size in bytes and the SHA-256 of its bytes."""

    file: str
    size: int
    sha256: str

    @staticmethod
    def of(name: str, content: bytes) -> FileEntry:
        """The entry of a file with this content."""
        return FileEntry(name, len(content), hashlib.sha256(content).hexdigest())

    @staticmethod
    def of_file(path: Path) -> FileEntry:
        """The entry of a file on disk."""
        return FileEntry(path.name, path.stat().st_size, file_hash(path))

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> FileEntry:
        """The entry that the manifest holds."""
        return FileEntry(str(entry["file"]), int(entry["bytes"]), str(entry["sha256"]))

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the manifest lists them."""
        return {"file": self.file, "bytes": self.size, "sha256": self.sha256}

    def size_fault(self, folder: Path) -> str | None:
        """What is wrong with the file at a glance, as "is missing"; None if nothing is."""
        path = folder / self.file
        if not path.is_file():
            return "is missing"
        size = path.stat().st_size
        return None if size == self.size else f"has {size} bytes instead of {self.size}"

    def fault(self, folder: Path) -> str | None:
        """What is wrong with the file, its hash included; None if nothing is."""
        found = self.size_fault(folder)
        if found is None and file_hash(folder / self.file) != self.sha256:
            return "is damaged: its bytes are not those that were recorded"
        return found


@dataclass(frozen=True)
class PartEntry:
    """One part: its file, its rows, its skipped images, and the file of its thumbnails."""

    data: FileEntry
    rows: int
    skipped: int
    thumbnails: FileEntry | None

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the manifest lists them."""
        return {
            **self.data.to_json(),
            "rows": self.rows,
            "skipped": self.skipped,
            "thumbnails": None if self.thumbnails is None else self.thumbnails.to_json(),
        }

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> PartEntry:
        """The inverse of `to_json`."""
        thumbnails = entry["thumbnails"]
        return PartEntry(
            data=FileEntry.from_json(entry),
            rows=int(entry["rows"]),
            skipped=int(entry["skipped"]),
            thumbnails=None if thumbnails is None else FileEntry.from_json(thumbnails),
        )

    @property
    def files(self) -> list[FileEntry]:
        """The files of the part."""
        return [self.data] if self.thumbnails is None else [self.data, self.thumbnails]


@dataclass(frozen=True)
class Listing:
    """The manifest of a finished recording, taken apart.

    Attributes:
        plan: What was planned.
        parts: The parts, in order.
        skipped_file: The file `skipped.csv`.
    """

    plan: Plan
    parts: tuple[PartEntry, ...]
    skipped_file: FileEntry

    @property
    def files(self) -> list[FileEntry]:
        """All files of the recording but the manifest."""
        return [file for part in self.parts for file in part.files] + [self.skipped_file]

    def to_json(self) -> dict[str, Any]:
        """The manifest: the fields of the plan, then the counts and the files."""
        return {
            **self.plan.to_json(),
            "plan_hash": self.plan.hash,
            "images": sum(part.rows for part in self.parts),
            "skipped": sum(part.skipped for part in self.parts),
            "skipped_file": self.skipped_file.to_json(),
            "parts": [part.to_json() for part in self.parts],
        }


def check_version(entry: Any, path: Path) -> dict[str, Any]:
    """The parsed manifest or marker at `path`, once it is one that this version can read.

    Raises:
        PathLensError: If it is of another format or of a newer version.
    """
    if not isinstance(entry, dict) or entry.get("format") != FORMAT:
        raise PathLensError(f"{path} does not describe a recording: choose another folder.")
    version = entry.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise PathLensError(
            f"{path} has format version {version}, and this PathLens reads up to "
            f"{FORMAT_VERSION}: install a newer PathLens to open it."
        )
    return entry


def read_listing(folder: Path) -> tuple[dict[str, Any], Listing]:
    """The manifest of a finished recording, as it stands and taken apart.

    Raises:
        PathLensError: If the file is damaged or of a newer format version.
    """
    path = folder / MANIFEST
    try:
        parsed = read_json(path)
    except PathLensError as error:
        raise PathLensError(f"{path} is damaged, it is not valid JSON: {AGAIN}.") from error
    manifest = check_version(parsed, path)
    try:
        listing = Listing(
            plan=Plan.from_json(manifest),
            parts=tuple(PartEntry.from_json(part) for part in manifest["parts"]),
            skipped_file=FileEntry.from_json(manifest["skipped_file"]),
        )
        agrees = len(listing.parts) == listing.plan.parts and all(
            manifest[name] == value for name, value in listing.to_json().items()
        )
    except (KeyError, TypeError, ValueError, AttributeError, PathLensError) as error:
        raise PathLensError(f"{path} is damaged, a field is missing or wrong: {AGAIN}.") from error
    if not agrees:
        raise PathLensError(f"{path} is damaged, its fields contradict each other: {AGAIN}.")
    return manifest, listing


def read_marker(folder: Path) -> Plan | None:
    """The plan of an unfinished recording; None if there is no marker or it is damaged.

    Raises:
        PathLensError: If it is of a newer format version.
    """
    path = folder / MARKER
    try:
        return Plan.from_json(check_version(read_json(path), path))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    except PathLensError:
        if _is_json_object(path):
            raise
        return None


def _is_json_object(path: Path) -> bool:
    try:
        return isinstance(read_json(path), dict)
    except PathLensError:
        return False


def skipped_table(skipped: Sequence[tuple[str, str]]) -> bytes:
    """The content of `skipped.csv`: columns image and error, in planned order."""
    import pandas as pd

    frame = pd.DataFrame(list(skipped), columns=["image", "error"])
    return frame.to_csv(index=False, lineterminator="\n").encode()
