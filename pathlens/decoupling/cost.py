"""Cost of a path: the multiply-adds (MACs) that are left when the filters that are off do not run.

A channel is *dead* for an image if it is zero because the gates that feed it are off. Which gates feed
a channel is followed through the observed operations: through activations, pools, concatenations,
splits, shuffles and additions (dead only if every summand is). Where the graph cannot be followed a
channel counts as alive, so that a cost is never understated. A convolution costs what is left of its
inputs times outputs. Two cases cost more than a silent filter suggests: a BN that does not follow the
gated convolution itself turns zeros into constants (after depthwise convolutions, in pre-activation
networks), and a GroupNorm or LayerNorm takes its statistics from filters that are off too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pathlens.decoupling.flow import Flow, Source
from pathlens.decoupling.layout import Layout
from pathlens.decoupling.observe import Op, Value


@dataclass(frozen=True)
class _Inputs:
    """Who keeps the input channels of one operation alive.

    Attributes:
        always: Number of channels that are always alive.
        single: Gates that keep one channel each alive, (channels,).
        groups: Gates of which any keeps a channel alive, (channels, most gates), padded with the
            number of gates, which stands for a gate that is always off.
    """

    always: int
    single: Tensor
    groups: Tensor

    @staticmethod
    def of(sources: Sequence[Source], gates: int) -> _Inputs:
        single = [next(iter(s)) for s in sources if s is not None and len(s) == 1]
        several = [sorted(s) for s in sources if s is not None and len(s) > 1]
        width = max((len(s) for s in several), default=0)
        padded = [s + [gates] * (width - len(s)) for s in several]
        return _Inputs(
            always=sum(s is None for s in sources),
            single=torch.tensor(single, dtype=torch.long),
            groups=torch.tensor(padded, dtype=torch.long).reshape(len(several), width),
        )

    def in_groups(self, gates: Tensor) -> Tensor:
        """Number of channels that one of several gates keeps alive, (N,), for gates (N, gates + 1)."""
        off = (1 - gates[:, self.groups.to(gates.device)]).prod(dim=2)
        return (1 - off).sum(dim=1)


@dataclass(frozen=True)
class _Step:
    """One operation that multiplies: MACs = unit · inputs alive · outputs alive."""

    module: str
    unit: float
    inputs: _Inputs
    outputs: _Inputs
    dense: int


@dataclass(frozen=True)
class Cost:
    """MACs of a network given a path.

    Attributes:
        layers: Names of the gated layers, in running order.
        filters: Number of filters of each of them.
        dense: MACs of the plain network for one image: everything on, no gating modules.
        gating: MACs of all gating modules for one image.
    """

    layers: tuple[str, ...]
    filters: tuple[int, ...]
    dense: int
    gating: int
    steps: tuple[_Step, ...]

    @staticmethod
    def of(layout: Layout, gating_macs: Mapping[str, int]) -> Cost:
        """Follow the channels of an observed run; `gating_macs` is each gating module's own cost."""
        steps = tuple(_Walk(layout).steps())
        return Cost(
            layers=tuple(layout.layers.names),
            filters=tuple(layer.filters for layer in layout.layers),
            dense=sum(step.dense for step in steps),
            gating=sum(gating_macs.values()),
            steps=steps,
        )

    def macs(self, path: Mapping[str, Tensor]) -> Tensor:
        """MACs of every image of a path, the gating modules' own cost included.

        Differentiable, so that soft gates give an expected cost to train on.

        Args:
            path: Layer name to gates (N, filters) in [0, 1].

        Returns:
            (N,), in multiply-adds; at least float32, float64 for hard gates read from a recording.
        """
        return self._macs_of_steps(self._gates(path)).sum(dim=1) + self.gating

    def _gates(self, path: Mapping[str, Tensor]) -> Tensor:
        """All gates side by side and one that is always off, (N, gates + 1)."""
        gates = torch.cat([path[name] for name in self.layers], dim=1)
        if gates.dtype in (torch.float16, torch.bfloat16):
            gates = gates.float()  # millions of multiply-adds overflow in half precision
        return torch.cat([gates, gates.new_zeros(len(gates), 1)], dim=1)

    def by_module(self, path: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """MACs of every image, (N,), for each module that multiplies; gating modules left out."""
        found: dict[str, Tensor] = {}
        for step, macs in zip(
            self.steps, self._macs_of_steps(self._gates(path)).unbind(dim=1), strict=True
        ):
            found[step.module] = found[step.module] + macs if step.module in found else macs
        return found

    def _macs_of_steps(self, gates: Tensor) -> Tensor:
        """MACs of every step, (N, steps), for gates (N, gates + 1)."""
        units = gates.new_tensor([step.unit for step in self.steps])
        inputs, outputs = self._alive(gates).chunk(2, dim=1)
        return units * inputs * outputs

    def _alive(self, gates: Tensor) -> Tensor:
        """Channels alive, (N, 2 · steps): of what goes into every step, then of what it makes."""
        always = gates.new_tensor([side.always for side in self._sides])
        # One product: picking the gates of every step costs a training step more than its losses do.
        with torch.autocast(gates.device.type, enabled=False):
            kept = self._kept_alive_exactly if gates.dtype == torch.float64 else self._kept_alive
            count = gates @ kept.to(gates) + always
        if any(len(side.groups) for side in self._sides):
            count = count + torch.stack([side.in_groups(gates) for side in self._sides], dim=1)
        return count

    @property
    def _sides(self) -> list[_Inputs]:
        return [step.inputs for step in self.steps] + [step.outputs for step in self.steps]

    @cached_property
    def _kept_alive(self) -> Tensor:
        """How many channels of each side each gate keeps alive alone, (gates + 1, 2 · steps)."""
        rows = sum(self.filters) + 1
        columns = [torch.bincount(side.single, minlength=rows) for side in self._sides]
        return torch.stack(columns, dim=1).float()

    @cached_property
    def _kept_alive_exactly(self) -> Tensor:
        """The same in double precision: of a large network too much to convert at every call."""
        return self._kept_alive.double()


class _Walk:
    """Finds all operations that multiply, with the gates that their channels hang on."""

    def __init__(self, layout: Layout) -> None:
        self.gates = layout.layers.filters
        self.observation = layout.observation
        self.own: dict[str, tuple[Source, ...]] = {}
        marked: dict[Value, tuple[int, int]] = {}
        offset = 0
        for conv in layout.gated:
            filters = conv.layer.filters
            if not conv.norm_mixes:
                own = tuple(frozenset([offset + j]) for j in range(filters))
                self.own[conv.layer.name] = own
            marked[conv.output] = (conv.dim, offset)
            offset += filters
        self.flow = Flow(self.observation, marked)
        self.batch = self.observation.images

    def steps(self) -> list[_Step]:
        found = []
        for op in self.observation.ops:
            if "convolution" in op.name:
                found.append(self._convolution(op))
            elif op.name in {"addmm", "mm"}:
                found.append(self._linear(op))
            elif op.name in {"bmm", "baddbmm"}:
                found.append(self._fixed(op))
        return found

    def _convolution(self, op: Op) -> _Step:
        value, weight = op.args[0], op.args[1]
        groups = op.args[8] if len(op.args) > 8 else 1
        transposed = len(op.args) > 6 and bool(op.args[6])
        # A transposed convolution spreads every input position over the kernel.
        spread = value if transposed else op.outputs[0]
        positions = math.prod(spread.shape[2:]) * value.shape[0] / self.batch
        unit = positions * math.prod(weight.shape[2:])
        inputs, filters = self.flow.sources(value, 1), op.outputs[0].shape[1]
        if groups == 1:
            return self._step(op, unit, inputs, self.own.get(op.module) or (None,) * filters)
        # A dead input channel of a grouped or depthwise one spares the filters of its own group.
        return self._step(op, unit * (filters // groups), inputs, (None,))

    def _linear(self, op: Op) -> _Step:
        value, weight = op.args[-2], op.args[-1]
        rows = value.shape[0] / self.batch
        return self._step(op, rows, self.flow.sources(value, 1), (None,) * weight.shape[1])

    def _fixed(self, op: Op) -> _Step:
        left = op.args[-2].shape
        unit = math.prod(left) * op.outputs[0].shape[-1] / self.batch
        return self._step(op, unit, (None,), (None,))

    def _step(
        self, op: Op, unit: float, inputs: Sequence[Source], outputs: Sequence[Source]
    ) -> _Step:
        return _Step(
            module=op.module,
            unit=unit,
            inputs=_Inputs.of(inputs, self.gates),
            outputs=_Inputs.of(outputs, self.gates),
            dense=round(unit * len(inputs) * len(outputs)),
        )
