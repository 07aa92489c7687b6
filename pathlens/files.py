"""Writing files so that a name that exists is a file that is whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pathlens.errors import PathLensError

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def clear_disk_errors(target: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into one clear sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise PathLensError(
                f"No space left to write {target}: free some disk space (or raise the file-size "
                "limit) and run the same command again; what was finished before is intact."
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise PathLensError(
                f"Not allowed to write {target}: choose another folder or change its permissions."
            ) from error
        raise


def write_bytes(target: Path, content: bytes) -> None:
    """Write a file whole or not at all: beside it, flushed to disk, then renamed.

    Raises:
        PathLensError: If the disk is full or the folder may not be written.
    """
    beside = target.with_name(target.name + ".partial")
    with clear_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            beside.replace(target)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise


def write_text(target: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    write_bytes(target, text.encode())


def write_json(target: Path, value: Any) -> None:
    """Write JSON whole or not at all, readable, and the same bytes for the same value."""
    write_text(target, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(source: Path) -> Any:
    """Read a JSON file.

    Raises:
        PathLensError: If it is missing or is not JSON.
    """
    try:
        return json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PathLensError(f"There is no file {source}.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PathLensError(f"{source} is damaged: it is not valid JSON ({error}).") from error


def file_hash(source: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    with source.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
