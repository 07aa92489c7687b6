"""Which clean images a fitted detector has seen, so that attacks on it can leave them out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Bits

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class UsedImages:
    """A set of image ids, as 8 bytes each.

    Among a million ids the chance that a stranger is taken for one of them is 5e-14.

    Attributes:
        hashes: uint64 (images,), ascending: BLAKE2b of each id.
    """

    hashes: Hashes = field(repr=False)

    @classmethod
    def of(cls, ids: Iterable[str]) -> UsedImages:
        """The set of some ids."""
        return cls(np.unique(_hashes(ids)))

    def __len__(self) -> int:
        return len(self.hashes)

    def holds(self, ids: Iterable[str]) -> Bits:
        """Which of some ids are in it, bool (ids,)."""
        return np.asarray(np.isin(_hashes(ids), self.hashes))


def _hashes(ids: Iterable[str]) -> Hashes:
    digests = b"".join(hashlib.blake2b(str(one).encode(), digest_size=8).digest() for one in ids)
    # The byte order is fixed, as files are opened on other machines.
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
