"""Concatenation of channels, and taking some of them out again."""

from __future__ import annotations

import numpy as np
import torch

from pathlens.skipping.channels import Kept, everything, side_by_side
from pathlens.skipping.run import Run
from pathlens.skipping.steps.base import Step


class Concatenation(Step):
    """Compact and dense values side by side along the channels.

    Args:
        sources: Slots of the parts.
        parts: Number of each part's `Kept`; None and its channels where it is dense.
        target: Slot of the result.
        kept: Number of its `Kept`.
    """

    def __init__(
        self, sources: tuple[int, ...], parts: tuple[int | Kept, ...], target: int, kept: int
    ) -> None:
        super().__init__(sources, (target,), "cat")
        self.sources, self.parts, self.target, self.kept = sources, parts, target, kept

    def __call__(self, run: Run) -> None:
        """Put them side by side."""
        run.values[self.target] = torch.cat([run.values[slot] for slot in self.sources], dim=1)
        run.kept[self.kept] = side_by_side(
            [part if isinstance(part, Kept) else run.kept_at(part) for part in self.parts]
        )


class Rearrangement(Step):
    """Channels of a compact value taken out or in another order.

    Args:
        source: Slot of the value.
        target: Slot of the result.
        before: Number of the value's `Kept`.
        after: Number of the result's.
        channels: For each channel of the result, the channel of the value that it is.
        total: Number of channels of the value.
    """

    shares = True

    def __init__(
        self, source: int, target: int, before: int, after: int, channels: np.ndarray, total: int
    ) -> None:
        super().__init__((source,), (target,), "rearrange")
        self.source, self.target, self.before, self.after = source, target, before, after
        self.count = len(channels)
        # Where each channel goes; one past the last for those that are left out, and for holes.
        self.place = np.full(total + 1, self.count)
        self.place[channels] = np.arange(self.count)
        self.identity = np.array_equal(channels, np.arange(total))
        self.channels = torch.from_numpy(channels)

    def __call__(self, run: Run) -> None:
        """Name the channels anew, and take out those that are gone."""
        x, kept = run.values[self.source], run.kept_at(self.before)
        if kept.whole:
            run.values[self.target] = x.index_select(1, self.channels.to(x.device))
            run.kept[self.after] = everything(self.count)
            return
        index, stays = self.place[kept.index], self.stays(kept)
        if run.exact or len(stays) < self.count / 2 or len(stays) < 0.8 * kept.places:
            x, index = x.index_select(1, torch.from_numpy(stays).to(x.device)), index[stays]
        run.values[self.target], run.kept[self.after] = x, Kept(index, self.count)

    def stays(self, kept: Kept) -> np.ndarray:
        """The places of the value that are taken."""
        if kept.whole:
            return self.channels.numpy()
        stays = np.flatnonzero(self.place[kept.index] < self.count)
        # Of a part that is silent one channel stays, with what it holds: zero.
        return stays if len(stays) else np.zeros(1, dtype=np.int64)
