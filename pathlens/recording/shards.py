"""Shards: several processes that write disjoint ranges of whole parts of one recording."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pathlens.errors import PathLensError
from pathlens.lock import FolderLock
from pathlens.recording.manifest import LOCK

SHARD_LOCKS = "recording.shard-[0-9]*-of-[0-9]*.lock"
"""What the locks of shards are called, as a glob."""

_PATIENCE = 3.0
"""Seconds by which a shard lets another one look at the folder first."""

_PAUSE = 0.05


class OtherShardsMissingError(PathLensError):
    """A shard is finished, and parts of others are still missing: nothing has gone wrong."""


@dataclass(frozen=True)
class Shard:
    """One of several equal shares of the parts of a recording, or all of it.

    Of P parts, shard K of N holds those from floor((K - 1) P / N) up to, not including,
    floor(K P / N): disjoint ranges of whole parts that leave none out.

    Attributes:
        number: K, from 1.
        of: N.
    """

    number: int = 1
    of: int = 1

    @staticmethod
    def parse(text: str) -> Shard:
        """The shard that "K/N" names.

        Raises:
            PathLensError: If the text is not of that form, or K is not between 1 and N.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        shard = Shard(*map(int, found.groups())) if found else Shard(0)
        if not 1 <= shard.number <= shard.of:
            raise PathLensError(
                f"There is no shard '{text}': give K/N, from 1/N to N/N, as in 3/16."
            )
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def whole(self) -> bool:
        """Whether it is all of the recording."""
        return self.of == 1

    def parts(self, parts: int) -> range:
        """Numbers of its parts, of so many."""
        return range((self.number - 1) * parts // self.of, self.number * parts // self.of)

    @property
    def lock_name(self) -> str:
        """Name of the file that its writer locks."""
        return LOCK if self.whole else f"recording.shard-{self.number}-of-{self.of}.lock"


@contextmanager
def gate(folder: Path, patience: float | None = _PATIENCE) -> Iterator[None]:
    """Hold the lock of the whole recording for a moment, waiting for others that do the same.

    Args:
        folder: Folder of the recording.
        patience: Seconds to wait; None to wait until whoever holds it has let go or died.

    Raises:
        PathLensError: If another process keeps it for longer.
    """
    deadline = None if patience is None else time.monotonic() + patience
    while True:
        try:
            lock = FolderLock(folder / LOCK)
            break
        except PathLensError as error:
            held = isinstance(error.__cause__, BlockingIOError)
            if not held or (deadline is not None and time.monotonic() > deadline):
                raise
            time.sleep(_PAUSE)
    try:
        yield
    finally:
        lock.release()


def claim(folder: Path, shard: Shard, parts: int) -> FolderLock:
    """Lock the parts of a shard; called while `gate` is held, or to hold it for the whole.

    Raises:
        PathLensError: If another process is writing one of them.
    """
    if shard.whole:
        lock = FolderLock(folder / LOCK)
        try:
            _check_others(folder, shard, parts)
        except BaseException:
            lock.release()
            raise
        return lock
    _check_others(folder, shard, parts)
    return FolderLock(folder / shard.lock_name)


def sweep_locks(folder: Path) -> None:
    """Remove the lock files of shards whose processes have died; called while `gate` is held."""
    for path in folder.glob(SHARD_LOCKS):
        if not _is_held(path):
            path.unlink(missing_ok=True)


def _check_others(folder: Path, shard: Shard, parts: int) -> None:
    sweep_locks(folder)
    mine = shard.parts(parts)
    for path in folder.glob(SHARD_LOCKS):
        number, count = re.findall(r"\d+", path.name)
        other = Shard(int(number), int(count))
        theirs = other.parts(parts)
        if other != shard and max(mine.start, theirs.start) < min(mine.stop, theirs.stop):
            raise PathLensError(
                f"Another process is writing shard {other} of {folder}, which holds some of the same "
                "parts: wait until it has finished, or give another --out."
            )


def _is_held(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
