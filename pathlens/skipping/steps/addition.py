"""Additions: a compact branch is added to the shortcut where its channels belong."""

from __future__ import annotations

import copy

import numpy as np
from torch import Tensor

from pathlens.skipping.channels import Kept
from pathlens.skipping.processor import LAST, Compiled, Processor
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

    def without_pool(self) -> Addition:
        """The same addition where no gating module asks; this one stays as it is."""
        if self.pool is None:
            return self
        bare = copy.copy(self)
        bare.pool, bare.writes = None, (self.target,)
        return bare

    def __call__(self, run: Run) -> None:
        """Add."""
        stream, branch = run.values[self.stream], run.values[self.branch]
        kept = None if self.kept is None else run.kept_at(self.kept)
        in_place = self.in_place and stream.dtype == branch.dtype and _dense(stream)
        if kept is None or kept.whole:
            made = stream.add_(branch) if in_place else stream + branch
            run.values[self.target] = made.relu_() if self.rectify else made
        else:
            if not in_place:
                stream = stream.clone()
            processor, pool = self.processor, self.pool
            alone = pool is not None and run.images == 1
            if alone and isinstance(processor, Compiled) and processor.adds(branch, stream):
                assert pool is not None
                self._add_and_pool(run, branch, kept, stream, processor, pool)
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


def _dense(x: Tensor) -> bool:
    """Whether every place surely has memory of its own, which those of expanded views do not."""
    return x.is_contiguous(memory_format=LAST) or x.is_contiguous()
