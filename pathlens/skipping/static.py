"""A network cut to one path: the same plan, with everything gathered beforehand and no gating."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pathlens.skipping.channels import Kept
from pathlens.skipping.plan import Plan
from pathlens.skipping.run import Run
from pathlens.skipping.steps.base import Step
from pathlens.skipping.steps.convolution import Convolution
from pathlens.skipping.steps.gating import Decide, Gates
from pathlens.skipping.steps.linear import Linear
from pathlens.skipping.steps.summing import Summing
from pathlens.skipping.tracing import assemble
from pathlens.skipping.weights import Filters, Ready


class FixedConvolution(Step):
    """A convolution with some of its filters and inputs, always the same.

    Attributes:
        weights: (filters, inputs, height, width), packed.
        bias: (filters,), or None.
        factors: What the output is multiplied by, or None.
    """

    def __init__(
        self, filters: Filters, ready: Ready, factors: Tensor | None, like: Convolution
    ) -> None:
        super().__init__(like.reads, like.writes, like.label)
        self.filters, self.factors = filters, factors
        self.weights, self.bias = ready
        self.source, self.target = like.source, like.target

    def __call__(self, run: Run) -> None:
        """Convolve."""
        made = self.filters.run(run.values[self.source], (self.weights, self.bias))
        run.values[self.target] = made if self.factors is None else made.mul_(self.factors)


class Constant(Step):
    """The gates of a layer, (1, filters, 1, 1), for operators that read them as they are."""

    def __init__(self, like: Gates, gates: Tensor) -> None:
        super().__init__((), like.writes, like.label)
        self.target, self.gates = like.target, gates

    def __call__(self, run: Run) -> None:
        """Write them out."""
        run.values[self.target] = self.gates


class FixedLinear(Step):
    """A linear layer that has the weights of some inputs only, always the same."""

    def __init__(self, like: Linear, kept: Kept) -> None:
        super().__init__(like.reads, like.writes, like.label)
        channels = kept.on(like.plain.device)
        by_channel = like.plain.view(-1, len(like.absent), like.positions)
        by_channel = F.pad(by_channel, (0, 0, 0, 1))  # holes are read as zeros
        absent = F.pad(like.absent, (0, 1)).double()
        self.weights = by_channel.index_select(1, channels).flatten(1)
        gone = by_channel.sum(dim=2).double() @ absent
        there = self.weights.view(len(self.weights), -1, like.positions).sum(dim=2).double()
        gone = gone - there @ absent[channels]
        self.bias = like.bias + gone.to(like.bias.dtype)
        self.source, self.target = like.source, like.target

    def __call__(self, run: Run) -> None:
        """Multiply."""
        x: Tensor = run.values[self.source]
        run.values[self.target] = F.linear(x.flatten(1), self.weights, self.bias)


class StaticNetwork:
    """Runs one path for every image; made by `SkippingNetwork.static`.

    Attributes:
        plan: Its steps.
        kept: Which channels every compact value has.
    """

    def __init__(self, plan: Plan, run: Run) -> None:
        self.kept: list[Kept | None] = list(run.kept)
        self._factors = dict(run.factors)
        self._gates = list(run.gates)
        found = zip(plan.steps, plan.dead, strict=True)
        fixed = [(self._fixed(step), dead) for step, dead in found]
        self.plan = replace(
            plan,
            steps=[step for step, _ in fixed if step is not None],
            dead=[dead for step, dead in fixed if step is not None],
        )

    def _fixed(self, step: Step) -> Step | None:
        if isinstance(step, Decide):
            return None
        if isinstance(step, Gates):
            gates = torch.as_tensor(self._gates[step.layer]).to(step.device, step.dtype)
            return Constant(step, gates.view(1, -1, 1, 1))
        if isinstance(step, Linear) and step.kept is not None:
            kept = self.kept[step.kept]
            assert kept is not None
            return step if kept.whole else FixedLinear(step, kept)
        if isinstance(step, Summing):
            return step.without_pool()
        if not isinstance(step, Convolution):
            return step
        inputs = step.all_inputs if step.inputs is None else self.kept[step.inputs]
        outputs = step.all_outputs if step.outputs is None else self.kept[step.outputs]
        assert inputs is not None
        assert outputs is not None
        if outputs.silent and step.layer is not None:
            return step
        factors = None if step.layer is None else self._factors[step.layer]
        ready = step.filters.packed(inputs, outputs)
        return FixedConvolution(step.filters, ready, factors, step)

    @torch.inference_mode()
    def __call__(self, *args: Tensor) -> Any:
        """What the decoupled network gives with this path forced.

        Args:
            *args: What the network takes, of the size that it was cut for.
        """
        run = Run(
            images=len(args[0]),
            values=[None] * self.plan.slots,
            kept=self.kept,
            gates=[],
            logits=[],
            factors=dict(self._factors),
        )
        return assemble(self.plan.trace, self.plan.carry_out(run, args))
