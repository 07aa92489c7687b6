"""Steps that sum what they make while they write it, for gating modules that ask for its mean."""

from __future__ import annotations

import copy
from typing import Self

from pathlens.skipping.steps.base import Step
from pathlens.skipping.steps.gating import Pool


class Summing(Step):
    """A step that makes one value, and its mean over pixels where a gating module asks for it.

    Args:
        reads: Slots of the values that it reads.
        target: Slot of the value that it makes.
        label: What it is.

    Attributes:
        pool: Makes the mean; None where nobody asks.
    """

    def __init__(self, reads: tuple[int, ...], target: int, label: str) -> None:
        super().__init__(reads, (target,), label)
        self.target = target
        self.pool: Pool | None = None

    def pools(self, pool: Pool) -> None:
        """Make the mean as well, in passing where that can be done."""
        self.pool = pool
        self.writes = (self.target, pool.target)

    def without_pool(self) -> Self:
        """The same step where no gating module asks; this one stays as it is."""
        if self.pool is None:
            return self
        bare = copy.copy(self)
        bare.pool, bare.writes = None, (self.target,)
        return bare
