"""Additions: a compact branch is added to the shortcut where its channels belong."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from pathlens.skipping.channels import Kept
from pathlens.skipping.processor import Compiled, Processor
from pathlens.skipping.run import Run
from pathlens.skipping.steps.base import Step
from pathlens.skipping.steps.gating import Pool


class Addition(Step):
    """stream + branch, then ReLU if it follows.

    Args:
        processor: Computes.
        stream: Slot of the dense summand.
        branch: Slot of the other.
        target: Slot of the sum.
        kept: Number of the branch's `Kept`; None where it is dense too.
        rectify: Whether a ReLU follows.

    Attributes:
        in_place: Whether the stream is read by nothing later, so that its memory takes the sum.
        pool: Makes the sum's mean over pixels, where a gating module asks for it later.
    """

    def __init__(
        self,
        processor: Processor,
        stream: int,
        branch: int,
        target: int,
        kept: int | None,
        *,
        rectify: bool,
    ) -> None:
        super().__init__((stream, branch), (target,), "add")
        self.processor, self.stream, self.branch = processor, stream, branch
        self.target, self.kept, self.rectify = target, kept, rectify
        self.in_place = False
        self.pool: Pool | None = None

    def pools(self, pool: Pool) -> None:
        """Make the mean as well, in passing where that can be done."""
        self.pool = pool
        self.writes = (self.target, pool.target)

    def __call__(self, run: Run) -> None:
        """Add."""
        stream, branch = run.values[self.stream], run.values[self.branch]
        kept = None if self.kept is None else run.kept_at(self.kept)
        if kept is None or kept.whole:
            made = stream.add_(branch) if self.in_place else stream + branch
            run.values[self.target] = made.relu_() if self.rectify else made
        else:
            if not self.in_place:
                stream = stream.clone()
            if self.pool is not None and run.images == 1 and isinstance(self.processor, Compiled):
                self._add_and_pool(run, branch, kept, stream, self.processor, self.pool)
                return
            run.values[self.target] = self.processor.scatter_add(
                branch, kept, stream, rectify=self.rectify
            )
        if self.pool is not None:
            self.pool(run)

    def _add_and_pool(
        self, run: Run, branch: Tensor, kept: Kept, into: Tensor, processor: Compiled, pool: Pool
    ) -> None:
        sums = np.empty((1, pool.channels), np.float32)
        run.values[self.target] = processor.scatter_add_and_sum(
            branch, kept, into, sums[0], rectify=self.rectify
        )
        sums /= pool.pixels
        run.values[pool.target] = sums
