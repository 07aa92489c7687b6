"""Which parts this process records: all, those of a shard, or its share of what torchrun started."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pathlens.errors import PathLensError
from pathlens.recording.manifest import MANIFEST
from pathlens.recording.reader import Recording, open_recording
from pathlens.recording.shards import Shard

_PATIENCE = 3.0
"""Seconds by which the others let the first process speak, when all meet the same error."""

_PAUSE = 0.2


@dataclass(frozen=True)
class Place:
    """The place of this process among those that record together.

    Processes need no messages: each writes its own parts, and the folder tells the rest.

    Attributes:
        shard: The parts that it records.
        device: Where it computes.
        leads: Whether it speaks for all.
        together: Whether torchrun has started it with others, for which it waits in the end.
    """

    shard: Shard
    device: str
    leads: bool = True
    together: bool = False

    @staticmethod
    def find(shard: str | None, device: str) -> Place:
        """The place that was asked for as "K/N", or else the one that torchrun has given.

        Raises:
            PathLensError: If there is no such shard.
        """
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if shard is not None:
            return Place(Shard.parse(shard), device)
        if size == 1 or "MASTER_ADDR" not in os.environ or "RANK" not in os.environ:
            return Place(Shard(), device)
        rank = int(os.environ["RANK"])
        if device == "cuda":
            device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        return Place(Shard(rank + 1, size), device, leads=rank == 0, together=True)

    @contextmanager
    def speaking_for_all(self) -> Iterator[None]:
        """What goes wrong in all processes is told by the first; the others are ended meanwhile."""
        try:
            yield
        except PathLensError:
            if not self.leads:
                time.sleep(_PATIENCE)
            raise


def wait_for_others(folder: Path) -> Recording:
    """The recording, once the last process has finished it; torchrun ends all if one has died."""
    while True:
        if (folder / MANIFEST).exists():
            try:
                return open_recording(folder)
            except PathLensError:
                pass  # finished before, and another process is still mending its parts
        time.sleep(_PAUSE)
