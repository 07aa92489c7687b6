"""Additions: a compact branch is added to the shortcut where its channels belong."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from pathlens.skipping.channels import Kept
from pathlens.skipping.processor import LAST, Compiled, Processor
from pathlens.skipping.run import Run
from pathlens.skipping.steps.gating import Pool
from pathlens.skipping.steps.summing import Summing


class Addition(Summing):
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
        super().__init__((stream, branch), target, "add")
        self.processor, self.stream, self.branch = processor, stream, branch
        self.kept, self.rectify = kept, rectify
        self.in_place = False

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
        sums = np.empty(pool.channels, np.float32)
        run.values[self.target] = processor.scatter_add_and_sum(
            branch, kept, into, sums, rectify=self.rectify
        )
        run.values[pool.target] = pool.of_sums(sums, pool.all)


def _dense(x: Tensor) -> bool:
    """Whether every place surely has memory of its own, which those of expanded views do not."""
    return x.is_contiguous(memory_format=LAST) or x.is_contiguous()
