"""Linear layers that read only the inputs that are there."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pathlens.skipping.channels import everything
from pathlens.skipping.processor import Compiled, Processor, rows_of
from pathlens.skipping.run import Run
from pathlens.skipping.steps.base import Step

_LARGE = 500_000
"""Weights from which a layer is bound by reading them, and reading only some of them pays."""


class Linear(Step):
    """bias + x · weights, for a value (N, channels) or flattened pictures (N, channels · positions).

    Args:
        processor: Computes.
        source: Slot of the input.
        target: Slot of the output.
        weights: (inputs, outputs).
        bias: (outputs,).
        kept: Number of the input's `Kept`; None where it is dense.
        absent: Value of every input channel where it is absent, (channels,).
        positions: Positions per channel.
        label: Name of the module.
    """

    def __init__(
        self,
        processor: Processor,
        source: int,
        target: int,
        weights: Tensor,
        bias: Tensor,
        kept: int | None,
        absent: Tensor,
        positions: int,
        label: str,
    ) -> None:
        super().__init__((source,), (target,), label)
        self.processor, self.source, self.target = processor, source, target
        self.kept, self.absent, self.positions = kept, absent, positions
        self.all = everything(len(absent))
        self.plain = weights.t().contiguous()
        self.bias = bias.contiguous()
        self.reading = isinstance(processor, Compiled) and weights.numel() >= _LARGE
        if self.reading:
            self.by_channel = weights.reshape(len(absent), positions, -1).contiguous()
            far = absent.repeat_interleave(positions).double() @ weights.double()
            self.far = self.bias + far.to(bias.dtype)

    def __call__(self, run: Run) -> None:
        """Multiply."""
        kept = self.all if self.kept is None else run.kept_at(self.kept)
        x: Tensor = run.values[self.source]
        single = x.dtype == torch.float32  # autocast changes it
        if self.reading and single and run.images == 1 and torch.get_num_threads() == 1:
            assert isinstance(self.processor, Compiled)
            rows = rows_of(x) if x.dim() == 4 else x.contiguous().numpy()
            made = self.processor.kernels.linear(
                rows, kept.index, self.absent.numpy(), self.by_channel.numpy(), self.far.numpy()
            )
            run.values[self.target] = torch.from_numpy(made)[None]
            return
        if not kept.whole:
            x = self.processor.scatter(x, kept, self.absent)
        run.values[self.target] = F.linear(x.flatten(1), self.plain, self.bias)
