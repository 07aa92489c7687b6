"""Weights of a convolution, stored so that any set of filters and inputs is gathered at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property

import torch
from torch import Tensor

from pathlens.skipping.activation import Activation
from pathlens.skipping.blocks import Shape
from pathlens.skipping.channels import Kept
from pathlens.skipping.processor import LAST, Processor

Ready = tuple[Tensor, Tensor | None]
"""Weights and bias that a convolution can run with."""

Key = tuple[bytes, bytes]


class PathCache:
    """Weights gathered for frequent paths, of all layers; the least recently used go first.

    Weights are kept from the second time on that their filters and inputs are asked for, so that
    paths that never come back cost no copies.

    Args:
        capacity: Most bytes to hold; 0 keeps nothing.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.size = 0
        self._ready: OrderedDict[tuple[int, Key], Ready] = OrderedDict()
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._ready)

    def find(self, layer: int, key: Key) -> Ready | None:
        """The weights of a layer for a path, if they are held."""
        with self._lock:
            found = self._ready.get((layer, key))
            if found is not None:
                self._ready.move_to_end((layer, key))
            return found

    def wants(self, layer: int, key: Key) -> bool:
        """Whether these weights were asked for before."""
        mark = hash((layer, key))
        with self._lock:
            if mark in self._seen:
                return True
            self._seen[mark] = None
            if len(self._seen) > 10_000:
                self._seen.popitem(last=False)
            return False

    def put(self, layer: int, key: Key, ready: Ready, size: int) -> None:
        """Hold weights of `size` bytes."""
        with self._lock:
            if size > self.capacity or (layer, key) in self._ready:
                return
            self._ready[layer, key] = ready
            self.size += size
            while self.size > self.capacity:
                _, (weights, _) = self._ready.popitem(last=False)
                self.size -= weights.numel() * weights.element_size()


class Filters:
    """One convolution with its activation, of which a run uses some filters and inputs.

    Args:
        processor: Computes.
        weights: (filters, inputs, height, width), BN folded in.
        bias: (filters,), or None.
        shape: Stride, padding, dilation; groups = 1, or as many as inputs (depthwise) and filters.
        act: What follows at once.
        size: Shape of the input for one image.
        absent: Value of every input channel where it is absent, (inputs,); None for zeros. Others
            are allowed for 1 × 1 kernels without padding only: elsewhere they would meet a border.
    """

    def __init__(
        self,
        processor: Processor,
        weights: Tensor,
        bias: Tensor | None,
        shape: Shape,
        act: Activation,
        size: tuple[int, ...],
        absent: Tensor | None = None,
    ) -> None:
        self.processor, self.shape, self.act, self.size = processor, shape, act, size
        self.weights = weights.contiguous()
        self.bias = bias
        self.absent = None if absent is None else _one_more(absent)
        self.taps = tuple(weights.shape[2:])
        self._far: Tensor | None = None
        if absent is not None:
            made = torch.mv(weights[:, :, 0, 0].double(), absent.double()).to(weights.dtype)
            self._far = _one_more(made if bias is None else made + bias)
        self._near = None if bias is None else _one_more(bias)

    @cached_property
    def depthwise(self) -> bool:
        """Whether every filter reads one channel, its own."""
        return self.shape.groups > 1 and self.weights.shape[:2] == (self.shape.groups, 1)

    @cached_property
    def whole(self) -> Ready:
        """All weights, packed."""
        return self.processor.pack(self.weights, self.shape, self.size), self.bias

    @cached_property
    def store(self) -> Tensor:
        """(filters + 1, taps, inputs + 1), with zeros for holes."""
        filters, inputs = self.weights.shape[:2]
        store = self.weights.new_zeros(filters + 1, self.taps[0] * self.taps[1], inputs + 1)
        store[:-1, :, :-1] = self.weights.flatten(2).transpose(1, 2)
        return store

    @cached_property
    def rows(self) -> Tensor:
        """(filters + 1, 1, height, width) of a depthwise convolution, zeros for holes."""
        return _one_more(self.weights)

    def gathered(self, inputs: Kept, outputs: Kept, *, briefly: bool = True) -> Ready:
        """Weights and bias of some filters and inputs; the next call may overwrite brief ones."""
        if inputs.whole and outputs.whole:
            return self.whole
        if self.depthwise:
            return self.processor.pick(self.rows, outputs), self._bias(outputs)
        rows = None if outputs.whole else outputs
        columns = None if inputs.whole else inputs
        bias = self._bias(outputs)
        if columns is not None and self.absent is not None:
            assert self._far is not None
            far = self._far[:-1] if rows is None else self.processor.pick(self._far, rows)
            bias = self.processor.shift(self.store, rows, columns, self.absent, far)
        if not briefly:
            weights = self.processor.gather(self.store, rows, columns)
            return weights.reshape(*weights.shape[:2], *self.taps), bias
        size = (1, inputs.places, *self.size[2:])
        weights = self.processor.gather_briefly(
            self.store, rows, columns, self.taps, self.shape, size
        )
        return weights, bias

    def _bias(self, outputs: Kept) -> Tensor | None:
        if self._near is None or outputs.whole:
            return self.bias
        return self.processor.pick(self._near, outputs)

    def packed(self, inputs: Kept, outputs: Kept) -> Ready:
        """The same for keeps: in memory of its own, packed."""
        if inputs.whole and outputs.whole:
            return self.whole
        weights, bias = self.gathered(inputs, outputs, briefly=False)
        groups = outputs.places if self.depthwise else 1
        size = (1, inputs.places, *self.size[2:])
        return self.processor.pack(weights, self.shaped(groups), size), bias

    def shaped(self, groups: int) -> Shape:
        """The shape of the convolution with some of its channels."""
        if groups == self.shape.groups:
            return self.shape
        return Shape(self.shape.stride, self.shape.padding, self.shape.dilation, groups)

    def run(self, x: Tensor, ready: Ready) -> Tensor:
        """Convolve what there is of the input with weights made ready for it."""
        weights, bias = ready
        shape = self.shaped(x.shape[1]) if self.depthwise else self.shape
        x = x.contiguous(memory_format=LAST)
        return self.processor.convolve(x, weights, bias, shape, self.act)


def _one_more(values: Tensor) -> Tensor:
    """`values` with a row of zeros after them, which stands for holes."""
    return torch.cat([values, values.new_zeros(1, *values.shape[1:])])
