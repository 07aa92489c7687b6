"""Cost of a path: the multiply-adds (MACs) that are left when the filters that are off do not run.

A channel is *dead* for an image if it is zero because the gates that feed it are off. Which gates feed
a channel is followed through the observed operations: through activations, pools, concatenations and
additions (dead only if every summand is). Where the graph cannot be followed a channel counts as alive,
so that a cost is never understated. A convolution costs what is left of its inputs times outputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pathlens.decoupling.layout import Layout
from pathlens.decoupling.observe import Op, Value

Source = frozenset[int] | None
"""Gates (numbered over all layers) of which any keeps a channel alive; None: always alive."""

_KEEPS_ZERO = {
    "relu", "hardtanh", "silu", "hardswish", "gelu", "leaky_relu", "elu", "tanh",
    "max_pool2d_with_indices", "max_pool2d", "avg_pool2d", "_adaptive_avg_pool2d",
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "native_dropout", "clone", "contiguous",
    "_to_copy", "alias", "detach", "upsample_nearest2d", "upsample_bilinear2d", "neg", "lift_fresh",
}  # fmt: skip
_RESHAPES = {"view", "_unsafe_view", "reshape", "flatten", "squeeze", "unsqueeze", "mean"}


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

    def alive(self, gates: Tensor) -> Tensor:
        """Number of channels alive, (N,), for gates (N, gates + 1) in [0, 1]."""
        device = gates.device
        count = gates[:, self.single.to(device)].sum(dim=1) + self.always
        if len(self.groups):
            off = (1 - gates[:, self.groups.to(device)]).prod(dim=2)
            count = count + (1 - off).sum(dim=1)
        return count


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
        gates = self._gates(path)
        total = gates.new_full((len(gates),), float(self.gating))
        for step in self.steps:
            total = total + step.unit * step.inputs.alive(gates) * step.outputs.alive(gates)
        return total

    def _gates(self, path: Mapping[str, Tensor]) -> Tensor:
        """All gates side by side and one that is always off, (N, gates + 1)."""
        gates = torch.cat([path[name] for name in self.layers], dim=1)
        if gates.dtype in (torch.float16, torch.bfloat16):
            gates = gates.float()  # millions of multiply-adds overflow in half precision
        return torch.cat([gates, gates.new_zeros(len(gates), 1)], dim=1)

    def by_module(self, path: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """MACs of every image, (N,), for each module that multiplies; gating modules left out."""
        gates = self._gates(path)
        found: dict[str, Tensor] = {}
        for step in self.steps:
            macs = step.unit * step.inputs.alive(gates) * step.outputs.alive(gates)
            found[step.module] = found[step.module] + macs if step.module in found else macs
        return found


class _Walk:
    """Follows every channel of the observed run to the gates that feed it."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.sources: dict[Value, tuple[Source, ...]] = {}
        self.gates = layout.layers.filters
        self.own: dict[str, tuple[Source, ...]] = {}
        self.sites: dict[str, tuple[Source, ...]] = {}
        offset = 0
        for conv in layout.gated:
            filters = conv.layer.filters
            own = tuple(frozenset([offset + j]) for j in range(filters))
            offset += filters
            self.own[conv.layer.name] = own
            self.sites[conv.site] = own

    def steps(self) -> list[_Step]:
        """All operations that multiply, with the gates that their channels hang on."""
        found = []
        for op in self.layout.observation.ops:
            if "convolution" in op.name:
                found.append(self._convolution(op))
            elif op.name in {"addmm", "mm"}:
                found.append(self._linear(op))
            elif op.name in {"bmm", "baddbmm"}:
                found.append(self._fixed(op))
            for value in op.outputs:
                made = self.sites.get(op.module) if self._is_site(op) else None
                self.sources[value] = made or self._flow(op, value)
        return found

    def _is_site(self, op: Op) -> bool:
        return op.module in self.sites and ("convolution" in op.name or "batch_norm" in op.name)

    def of(self, value: Value) -> tuple[Source, ...]:
        channels = value.shape[1] if len(value.shape) > 1 else 0
        return self.sources.get(value) or (None,) * channels

    def _convolution(self, op: Op) -> _Step:
        value, weight = op.args[0], op.args[1]
        groups = op.args[8] if len(op.args) > 8 else 1
        transposed = len(op.args) > 6 and bool(op.args[6])
        # A transposed convolution spreads every input position over the kernel.
        positions = math.prod((value if transposed else op.outputs[0]).shape[2:])
        unit = positions * math.prod(weight.shape[2:])
        outputs = self.own.get(op.module) or (None,) * op.outputs[0].shape[1]
        if groups == 1:
            return self._step(op, unit, self.of(value), outputs)
        if weight.shape[1] == 1:
            # Depthwise: a dead input channel spares its own outputs and nothing else.
            each = op.outputs[0].shape[1] // value.shape[1]
            live = tuple(s for s in self.of(value) for _ in range(each))
            return self._step(op, unit, live, (None,))
        return self._step(op, unit * weight.shape[1], (None,), (None,) * op.outputs[0].shape[1])

    def _linear(self, op: Op) -> _Step:
        value, weight = op.args[-2], op.args[-1]
        rows = value.shape[0] / self._batch
        return self._step(op, rows, self.of(value), (None,) * weight.shape[1])

    def _fixed(self, op: Op) -> _Step:
        left = op.args[-2].shape
        unit = math.prod(left) * op.outputs[0].shape[-1] / self._batch
        return self._step(op, unit, (None,), (None,))

    @property
    def _batch(self) -> int:
        inputs = self.layout.observation.inputs
        return inputs[0].shape[0] if inputs and inputs[0].shape else 1

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

    def _flow(self, op: Op, made: Value) -> tuple[Source, ...]:
        """Sources of the channels of a value that is no gated output."""
        channels = made.shape[1] if len(made.shape) > 1 else 0
        alive: tuple[Source, ...] = (None,) * channels
        tensors = [arg for arg in op.args if isinstance(arg, Value)]
        flow: tuple[Source, ...] | None = None
        if op.name in _KEEPS_ZERO and tensors:
            flow = self.of(tensors[0])
        elif op.name in _RESHAPES and tensors:
            flow = None if self._mixes(op, tensors[0]) else self._reshaped(tensors[0], made)
        elif op.name in {"add", "sub"}:
            flow = self._added(op, made)
        elif op.name in {"mul", "div"}:
            flow = self._scaled(tensors, made)
        elif op.name == "cat":
            flow = self._concatenated(op)
        elif op.name == "slice" and tensors:
            flow = self._sliced(op, tensors[0])
        elif op.name in {"split", "split_with_sizes", "chunk"} and tensors:
            flow = self._split(op, made)
        elif op.name == "constant_pad_nd" and not _number(op.args, 2):
            flow = self._padded(op, tensors[0])
        return flow if flow is not None and len(flow) == channels else alive

    def _mixes(self, op: Op, value: Value) -> bool:
        """Whether a mean runs over channels (or images), so that no channel keeps its source."""
        if op.name != "mean":
            return False
        dims = op.args[1] if len(op.args) > 1 and isinstance(op.args[1], list | tuple) else [0]
        return any(dim % len(value.shape) < 2 for dim in dims)

    def _reshaped(self, value: Value, made: Value) -> tuple[Source, ...] | None:
        before = self.of(value)
        if len(made.shape) < 2 or len(value.shape) < 2 or value.shape[0] != made.shape[0]:
            return None
        if made.shape[1] == value.shape[1]:
            return before
        if len(made.shape) == 2 and made.shape[1] == math.prod(value.shape[1:]):
            inner = math.prod(value.shape[2:])
            return tuple(source for source in before for _ in range(inner))
        return None

    def _added(self, op: Op, made: Value) -> tuple[Source, ...] | None:
        terms = [arg for arg in op.args[:2] if isinstance(arg, Value)]
        if len(terms) != 2 or any(term.shape != made.shape for term in terms):
            return None
        return tuple(
            None if a is None or b is None else a | b
            for a, b in zip(self.of(terms[0]), self.of(terms[1]), strict=True)
        )

    def _scaled(self, tensors: list[Value], made: Value) -> tuple[Source, ...] | None:
        # A product is dead if either factor is; following one of them is enough to be safe.
        for value in tensors:
            if value.shape == made.shape and any(s is not None for s in self.of(value)):
                return self.of(value)
        return None

    def _concatenated(self, op: Op) -> tuple[Source, ...] | None:
        dim = op.args[1] if len(op.args) > 1 else 0
        if dim not in (1, 1 - len(op.outputs[0].shape)):
            return None
        return tuple(source for value in op.args[0] for source in self.of(value))

    def _sliced(self, op: Op, value: Value) -> tuple[Source, ...] | None:
        defaults: list[Any] = [0, None, None, 1]
        given = list(op.args[1:])
        dim, start, end, step = given + defaults[len(given) :]
        if dim not in (1, 1 - len(value.shape)):
            return self.of(value)
        return self.of(value)[slice(start, end, step)]

    def _split(self, op: Op, made: Value) -> tuple[Source, ...] | None:
        dim = op.args[2] if len(op.args) > 2 else 0
        if dim not in (1, 1 - len(op.args[0].shape)):
            return None
        start = 0
        for piece in op.outputs:
            if piece == made:
                whole: tuple[Source, ...] = self.of(op.args[0])
                return whole[start : start + made.shape[1]]
            start += piece.shape[1]
        return None

    def _padded(self, op: Op, value: Value) -> tuple[Source, ...]:
        pads: list[Any] = list(op.args[1])
        if len(pads) != 2 * len(value.shape) - 2:
            return self.of(value)
        dead: tuple[Source, ...] = (frozenset(),)
        return dead * int(pads[-2]) + self.of(value) + dead * int(pads[-1])


def _number(args: tuple[Any, ...], position: int) -> float:
    return float(args[position]) if len(args) > position else 0.0
