"""Maxima over windows, of the channels that are there."""

from __future__ import annotations

import numpy as np

from pathlens.skipping.processor import Compiled, Processor
from pathlens.skipping.run import Run
from pathlens.skipping.steps.summing import Summing
from pathlens.skipping.windows import Window


class MaxPool(Summing):
    """Maxima over windows.

    Args:
        processor: Computes.
        source: Slot of the pictures.
        target: Slot of what is made.
        window: What the maxima are taken of.
    """

    def __init__(self, processor: Processor, source: int, target: int, window: Window) -> None:
        super().__init__((source,), target, "max_pool2d")
        self.processor, self.source, self.window = processor, source, window

    def __call__(self, run: Run) -> None:
        """Take them."""
        x, pool, processor, window = run.values[self.source], self.pool, self.processor, self.window
        alone = pool is not None and run.images == 1
        if alone and isinstance(processor, Compiled) and processor.takes_maxima(x, window):
            assert pool is not None
            sums = np.empty(x.shape[1], np.float32)
            run.values[self.target] = processor.max_pool_and_sum(x, window, sums)
            run.values[pool.target] = pool.of_sums(sums, pool.kept_in(run))
            return
        run.values[self.target] = processor.max_pool(x, window)
        if pool is not None:
            pool(run)
