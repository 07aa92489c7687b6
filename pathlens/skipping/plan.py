"""The steps of a network for one size of picture, and carrying them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from pathlens.decoupling import NotGated
from pathlens.skipping.processor import LAST
from pathlens.skipping.run import Run
from pathlens.skipping.steps.base import Step
from pathlens.skipping.tracing import Trace


@dataclass
class Plan:
    """The steps of a network for one size of picture.

    Attributes:
        steps: In running order.
        dead: After each step, the slots whose values nobody reads any more.
        slots: Number of slots.
        kept: Number of `Kept` of a run.
        inputs: Slots of the network's inputs.
        outputs: Slots of what it returns.
        fallbacks: Layers whose filters or inputs could not be skipped everywhere, with the reason.
        trace: The run that it was made from.
    """

    steps: list[Step]
    dead: list[tuple[int, ...]]
    slots: int
    kept: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    fallbacks: tuple[NotGated, ...]
    trace: Trace = field(repr=False)

    def execute(
        self,
        args: Sequence[Tensor],
        forced: dict[int, Tensor],
        *,
        exact: bool = False,
        dense: bool = False,
    ) -> tuple[list[Tensor], Run]:
        """The outputs for the network's arguments, and what the run held.

        Args:
            args: What the network takes.
            forced: Gates that are given, (N, filters) with NaN where they are decided, by number of
                the layer from 0.
            exact: Whether only filters that are on are kept, without holes.
            dense: Whether all filters are kept and the gates multiply.
        """
        layers = len(self.trace.gates)
        run = Run(
            images=len(args[0]),
            values=[None] * self.slots,
            kept=[None] * self.kept,
            gates=[None] * layers,
            logits=[None] * layers,
            forced=forced,
            exact=exact,
            dense=dense,
        )
        return self.carry_out(run, args), run

    def carry_out(self, run: Run, args: Sequence[Tensor]) -> list[Tensor]:
        """The outputs for the network's arguments, in ordinary memory order."""
        for slot, argument in zip(self.inputs, args, strict=True):
            pictures = argument.dim() == 4
            run.values[slot] = argument.contiguous(memory_format=LAST) if pictures else argument
        values = run.values
        for step, dead in zip(self.steps, self.dead, strict=True):
            step(run)
            for slot in dead:
                values[slot] = None
        return [run.values[slot].contiguous() for slot in self.outputs]
