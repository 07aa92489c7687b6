"""Operators that run as they were observed, on dense values or on every channel that is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from pathlens.skipping.channels import Kept
from pathlens.skipping.processor import LAST, Processor
from pathlens.skipping.run import Run
from pathlens.skipping.steps.base import Step

Argument = Callable[[Run], Any]
"""Makes one argument of an operator in a run."""


class Operator(Step):
    """Calls an operator with the arguments that it was observed with.

    Args:
        function: Called with positional and keyword arguments.
        arguments: Make the positional ones.
        keywords: Make the others.
        reads: Slots of the values among them.
        target: Slot of the result.
        shares: Whether the result may lie in the memory of the first value.
        label: Name of the operator.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: tuple[Argument, ...],
        keywords: dict[str, Argument],
        reads: tuple[int, ...],
        target: int,
        *,
        shares: bool,
        label: str,
    ) -> None:
        super().__init__(reads, (target,), label)
        self.function, self.arguments, self.keywords = function, arguments, keywords
        self.target = target
        self.shares = shares

    def __call__(self, run: Run) -> None:
        """Call it."""
        arguments = [make(run) for make in self.arguments]
        keywords = {name: make(run) for name, make in self.keywords.items()}
        run.values[self.target] = self.function(*arguments, **keywords)


class Channelwise(Step):
    """An operator of one value that treats every channel alike, on the channels that are there."""

    def __init__(
        self, function: Callable[[Tensor], Tensor], source: int, target: int, label: str
    ) -> None:
        super().__init__((source,), (target,), label)
        self.function, self.source, self.target = function, source, target
        self.shares = True

    def __call__(self, run: Run) -> None:
        """Call it."""
        run.values[self.target] = self.function(run.values[self.source])


class Scatter(Step):
    """Makes a compact value dense."""

    def __init__(
        self, processor: Processor, source: int, target: int, kept: int, absent: Tensor
    ) -> None:
        super().__init__((source,), (target,), "scatter")
        self.processor, self.source, self.target = processor, source, target
        self.kept, self.absent = kept, absent
        self.shares = True

    def __call__(self, run: Run) -> None:
        """Put every channel in its place."""
        kept, x = run.kept_at(self.kept), run.values[self.source]
        if not kept.whole:
            x = self.processor.scatter(x, kept, self.absent)
        run.values[self.target] = x


class Affine(Step):
    """A BN that no convolution could take in: scale and shift by channel, and a ReLU if it follows."""

    def __init__(
        self,
        processor: Processor,
        source: int,
        target: int,
        kept: int | Kept,
        scale: Tensor,
        shift: Tensor,
        *,
        rectify: bool,
        label: str,
    ) -> None:
        super().__init__((source,), (target,), label)
        self.processor, self.source, self.target, self.kept = processor, source, target, kept
        self.scale, self.shift, self.rectify = scale, shift, rectify

    def __call__(self, run: Run) -> None:
        """Scale and shift."""
        kept = self.kept if isinstance(self.kept, Kept) else run.kept_at(self.kept)
        run.values[self.target] = self.processor.affine(
            run.values[self.source], kept, self.scale, self.shift, rectify=self.rectify
        )


class Scale(Step):
    """A product of a compact value and a dense factor by channel, as squeeze-excite makes it."""

    def __init__(self, source: int, factor: int, target: int, kept: int) -> None:
        super().__init__((source, factor), (target,), "mul")
        self.source, self.factor, self.target, self.kept = source, factor, target, kept

    def __call__(self, run: Run) -> None:
        """Multiply."""
        kept, factor = run.kept_at(self.kept), run.values[self.factor]
        if not kept.whole:
            index = kept.on(factor.device).clamp_max_(kept.channels - 1)
            factor = factor.index_select(1, index)
        run.values[self.target] = run.values[self.source] * factor


def pictures_last(x: Tensor) -> Tensor:
    """Pictures channels last; other values as they are."""
    return x.contiguous(memory_format=LAST) if x.dim() == 4 else x
