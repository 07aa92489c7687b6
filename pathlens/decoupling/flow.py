"""Following channels: which gates keep an element of which tensor from being zero.

A network moves its channels about: it concatenates, splits, shuffles, pads and flattens them. Every
value of an observed run gets an array of labels, one label for each set of gates; a dimension along
which all labels are equal, such as a picture's rows, is kept at size 1. Operations that move elements
move the labels alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pathlens.decoupling.labels import ALIVE, DEAD, Labels, alive, fits, rank, reshape, widen
from pathlens.decoupling.observe import Observation, Op, Value

Source = frozenset[int] | None
"""Gates (numbered over all layers) of which any keeps a channel alive; None: always alive."""

_KEEPS_ZERO = {
    "relu", "silu", "hardswish", "gelu", "leaky_relu", "elu", "tanh", "mish", "abs", "_prelu_kernel",
    "native_dropout", "clone", "contiguous", "_to_copy", "alias", "detach", "neg", "lift_fresh",
}  # fmt: skip
_KEEPS_ZERO_PICTURE = {
    "max_pool2d_with_indices", "max_pool2d", "avg_pool2d", "_adaptive_avg_pool2d",
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "upsample_nearest2d", "upsample_bilinear2d",
    "reflection_pad2d", "replication_pad2d",
}  # fmt: skip
_RESHAPES = {"view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "squeeze", "unsqueeze"}
_SPLITS = {"split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk", "tensor_split"}
_PADS = {"constant_pad_nd"}


class Flow:
    """Follows the sources of every value through the operations of an observed run.

    Args:
        observation: The run.
        marked: The values that gates multiply: value to (dimension of its channels, number of the
            gate of its first channel).
    """

    def __init__(self, observation: Observation, marked: dict[Value, tuple[int, int]]) -> None:
        self._sets: list[Source] = [None, frozenset()]
        self._numbers: dict[Source, int] = {None: ALIVE, frozenset(): DEAD}
        self._labels: dict[Value, Labels] = {}
        for op in observation.ops:
            for position, value in enumerate(op.outputs):
                if value in marked:
                    self._labels[value] = self._own(value, *marked[value])
                else:
                    self._follow(op, value, position)

    def sources(self, value: Value, dim: int) -> tuple[Source, ...]:
        """For each position along `dim`: the gates of which any keeps one of its elements alive."""
        labels = np.moveaxis(self._of(value), dim, 0)
        rows = labels.reshape(len(labels), -1)
        single = rows.shape[1] == 1
        found = [self._sets[row[0] if single else self._union(np.unique(row))] for row in rows]
        return tuple(found) * (value.shape[dim] if len(found) == 1 else 1)

    def _own(self, value: Value, dim: int, first: int) -> Labels:
        shape = [1] * len(value.shape)
        shape[dim] = value.shape[dim]
        numbers = [self._number(frozenset([first + j])) for j in range(value.shape[dim])]
        return np.array(numbers, dtype=np.int64).reshape(shape)

    def _of(self, value: Value) -> Labels:
        labels = self._labels.get(value)
        return alive(value) if labels is None else labels

    def _number(self, source: Source) -> int:
        if source not in self._numbers:
            self._numbers[source] = len(self._sets)
            self._sets.append(source)
        return self._numbers[source]

    def _union(self, labels: Iterable[int]) -> int:
        union: set[int] = set()
        for label in labels:
            source = self._sets[label]
            if source is None:
                return ALIVE
            union |= source
        return self._number(frozenset(union))

    def _follow(self, op: Op, made: Value, position: int) -> None:
        if not any(value in self._labels for value in op.inputs) and op.name not in _PADS:
            return  # nothing dead went in
        labels = self._after(op, made, position)
        if labels is not None and labels.any() and fits(labels, made):
            self._labels[made] = labels

    def _after(self, op: Op, made: Value, position: int) -> Labels | None:
        """Labels of one output of an operation; None where they cannot be followed."""
        if op.name in _SPLITS:
            start = sum(piece.shape[_dim(op, 2, 0)] for piece in op.outputs[:position])
            return self._cut(op, _dim(op, 2, 0), start, made)
        if op.name == "unbind":
            return self._pick(op.args[0], _argument(op, 1, 0), position)
        if position:
            return None  # positions of maxima, masks of dropout
        if op.name in _KEEPS_ZERO:
            return self._of(op.args[0])
        if op.name in _KEEPS_ZERO_PICTURE:
            labels = self._of(op.args[0])
            return labels if set(labels.shape[2:]) == {1} else None  # neighbours are mixed
        if op.name in _RESHAPES:
            return reshape(self._of(op.args[0]), op.args[0].shape, made.shape)
        handler = _HANDLERS.get(op.name)
        return handler(self, op, made) if handler else None

    def _cut(self, op: Op, dim: int, start: int, made: Value) -> Labels:
        labels = self._of(op.args[0])
        if labels.shape[dim] == 1:
            return labels
        return np.take(labels, range(start, start + made.shape[dim]), axis=dim)

    def _clamp(self, op: Op, made: Value) -> Labels | None:
        low, high = (*op.args[1:3], None, None)[:2]
        if isinstance(low, Value) or isinstance(high, Value):
            return None
        keeps = (low is None or low <= 0) and (high is None or high >= 0)
        return self._of(op.args[0]) if keeps else None

    def _add(self, op: Op, made: Value) -> Labels | None:
        if not all(isinstance(term, Value) for term in op.args[:2]):
            return None
        a, b = np.broadcast_arrays(*(self._of(term) for term in op.args[:2]))
        pairs, back = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1, return_inverse=True)
        unions = np.array([self._union(pair) for pair in pairs.T], dtype=np.int64)
        return rank(unions[back].reshape(a.shape), made)

    def _multiply(self, op: Op, made: Value) -> Labels | None:
        # A product is dead if either factor is; following one of them is enough to be safe.
        a, b = (
            self._of(factor) if isinstance(factor, Value) else np.zeros((), dtype=np.int64)
            for factor in op.args[:2]
        )
        return rank(np.where(a == ALIVE, b, a), made)

    def _divide(self, op: Op, made: Value) -> Labels | None:
        return rank(self._of(op.args[0]), made) if isinstance(op.args[0], Value) else None

    def _concatenate(self, op: Op, made: Value) -> Labels:
        dim = _dim(op, 1, 0)
        parts = [self._of(part) for part in op.args[0]]
        if op.name == "stack":
            parts = [np.expand_dims(part, dim) for part in parts]
            full = [widen(part, dim, 1) for part in parts]
        else:
            sizes = [part.shape[dim] for part in op.args[0]]
            full = [widen(part, dim, size) for part, size in zip(parts, sizes, strict=True)]
        shapes = [[*part.shape[:dim], 1, *part.shape[dim + 1 :]] for part in full]
        shape = list(np.broadcast_shapes(*map(tuple, shapes)))
        return np.concatenate([widen(part, dim, part.shape[dim], shape) for part in full], axis=dim)

    def _permute(self, op: Op, made: Value) -> Labels:
        return self._of(op.args[0]).transpose(order_of(op))

    def _slice(self, op: Op, made: Value) -> Labels:
        defaults: list[Any] = [0, None, None, 1]
        given = list(op.args[1:])
        dim, start, end, step = given + defaults[len(given) :]
        labels = self._of(op.args[0])
        if labels.shape[dim] == 1:
            return labels
        kept = [slice(None)] * labels.ndim
        kept[dim] = slice(start, end, step)
        return labels[tuple(kept)]

    def _select(self, op: Op, made: Value) -> Labels:
        return self._pick(op.args[0], op.args[1], op.args[2])

    def _pick(self, value: Value, dim: int, index: int) -> Labels:
        labels = self._of(value)
        index = 0 if labels.shape[dim] == 1 else index % labels.shape[dim]
        return labels.take([index], axis=dim).squeeze(dim)

    def _expand(self, op: Op, made: Value) -> Labels:
        return rank(self._of(op.args[0]), made)

    def _reduce(self, op: Op, made: Value) -> Labels | None:
        labels = self._of(op.args[0])
        dims = op.args[1] if len(op.args) > 1 and isinstance(op.args[1], list | tuple) else []
        gone = {dim % labels.ndim for dim in dims or range(labels.ndim)}
        if any(labels.shape[dim] > 1 for dim in gone):
            return None  # channels are mixed
        keep = len(made.shape) == labels.ndim
        return labels if keep else labels.squeeze(tuple(gone))

    def _pad(self, op: Op, made: Value) -> Labels | None:
        if len(op.args) > 2 and op.args[2]:
            return None
        labels, pads = self._of(op.args[0]), list(op.args[1])
        for step in range(len(pads) // 2):
            dim, before, after = labels.ndim - 1 - step, pads[2 * step], pads[2 * step + 1]
            # A border of zeros around a picture leaves its channel alive or dead as it was.
            if (before or after) and (dim == 1 or labels.shape[dim] > 1):
                labels = widen(labels, dim, op.args[0].shape[dim])
                labels = labels.take(
                    range(max(0, -before), labels.shape[dim] - max(0, -after)), dim
                )
                width = [(0, 0)] * labels.ndim
                width[dim] = (max(0, before), max(0, after))
                labels = np.pad(labels, width, constant_values=DEAD)
        return labels

    def _shuffle(self, op: Op, made: Value) -> Labels:
        labels, groups = self._of(op.args[0]), op.args[1]
        if labels.shape[1] == 1:
            return labels
        split = labels.reshape(labels.shape[0], groups, -1, *labels.shape[2:])
        return split.swapaxes(1, 2).reshape(labels.shape)

    def _convolve(self, op: Op, made: Value) -> Labels | None:
        """A depthwise convolution without bias leaves a zero channel zero; no other one does."""
        weight, bias, groups = op.args[1], op.args[2], op.args[8]
        depthwise = weight.shape[:2] == (groups, 1)
        return self._of(op.args[0]) if bias is None and depthwise else None


_HANDLERS: dict[str, Callable[[Flow, Op, Value], Labels | None]] = {
    "hardtanh": Flow._clamp,
    "clamp": Flow._clamp,
    "add": Flow._add,
    "sub": Flow._add,
    "mul": Flow._multiply,
    "div": Flow._divide,
    "cat": Flow._concatenate,
    "stack": Flow._concatenate,
    "permute": Flow._permute,
    "transpose": Flow._permute,
    "t": Flow._permute,
    "slice": Flow._slice,
    "select": Flow._select,
    "expand": Flow._expand,
    "mean": Flow._reduce,
    "sum": Flow._reduce,
    "amax": Flow._reduce,
    "constant_pad_nd": Flow._pad,
    "channel_shuffle": Flow._shuffle,
    "native_channel_shuffle": Flow._shuffle,
    "convolution": Flow._convolve,
}


def order_of(op: Op) -> list[int]:
    """The order in which "permute", "transpose" or "t" puts the dimensions of its input."""
    rank = len(op.args[0].shape)
    if op.name == "permute":
        return [dim % rank for dim in op.args[1]]
    order = list(range(rank))
    a, b = op.args[1:3] if op.name == "transpose" else (0, rank - 1)
    order[a], order[b] = order[b], order[a]
    return order


def _argument(op: Op, position: int, default: int) -> int:
    return int(op.args[position]) if len(op.args) > position else default


def _dim(op: Op, position: int, default: int) -> int:
    return _argument(op, position, default) % len(op.outputs[0].shape)
