"""A lock on a folder that dies with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from pathlens.errors import PathLensError
from pathlens.files import clear_disk_errors

_held: set[FolderLock] = set()


class FolderLock:
    """Holds a lock file in a folder until `release` or the end of the process, SIGKILL included.

    Args:
        path: The lock file.
        option: What the user can change to write elsewhere, as the refusal says.

    Raises:
        PathLensError: If another process holds it, or the folder may not be written.
    """

    def __init__(self, path: Path, option: str = "--out") -> None:
        self._path = path
        self._option = option
        self._handle: int | None = None
        # Whoever releases the lock unlinks its file: what was locked may no longer be the file
        # at the path, and then another process could lock the new one.
        while self._handle is None:
            handle = self._acquire()
            if _is_file(handle, path):
                self._handle = handle
            else:
                os.close(handle)
        _held.add(self)

    def _acquire(self) -> int:
        with clear_disk_errors(self._path):
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise PathLensError(
                f"Another process is writing {self._path.parent}: wait until it has finished, "
                f"or give another {self._option}."
            ) from error
        return handle

    def release(self) -> None:
        """Remove the lock file and let go; a second call does nothing."""
        if self._handle is not None:
            with suppress(OSError):
                self._path.unlink()
            self.forget()

    def forget(self) -> None:
        """Close this process's handle without unlocking what a parent process still holds."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            _held.discard(self)


def _is_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _forget_all() -> None:
    for lock in list(_held):
        lock.forget()


# A forked loader process shares the open file and would keep the lock alive after its parent.
os.register_at_fork(after_in_child=_forget_all)
