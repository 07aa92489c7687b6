"""Memory for gathered weights, in the order in which the convolution library wants them.

oneDNN puts weights in order before every convolution, which for small pictures takes as long as the
convolution. It is spared where weights are gathered into that order at once. The order is not promised
by anybody: it is found by packing known numbers and looking where they went, and where it is none of
those known here, weights are gathered in plain order.
"""

from __future__ import annotations

import ctypes
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

_SIZES = (16, 32, 48, 64)
"""Numbers of filters side by side in memory that are looked for."""

_CAPACITY = 96 * 2**20
"""Most bytes of this memory in every thread."""


class Shape(NamedTuple):
    """How a convolution moves over its picture, as torch takes it."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1


@dataclass(frozen=True)
class Block:
    """Packed weights that may be overwritten.

    Attributes:
        weights: As the convolution takes them.
        numbers: Their memory, (blocks, taps, inputs, filters in a block).
    """

    weights: Tensor
    numbers: Any


class _Held(threading.local):
    """The blocks of one thread, the least recently used first."""

    def __init__(self) -> None:
        self.blocks: OrderedDict[Any, Block] = OrderedDict()
        self.size = 0


class Blocks:
    """Blocks by shape; every thread has its own.

    Args:
        pack: Packs weights (filters, inputs, height, width) for a convolution on an input size.
    """

    def __init__(self, pack: Callable[[Tensor, Shape, tuple[int, ...]], Tensor]) -> None:
        self._pack = pack
        self._filters_in_block: dict[Any, int] = {}
        self._held = _Held()

    def find(self, weights: tuple[int, ...], shape: Shape, size: tuple[int, ...]) -> Block | None:
        """Memory for weights of this shape, with what was in it; None where the order is unknown."""
        use = weights, shape, size
        count = self._filters_in_block.get(use)
        if count is None:
            # Two threads that look at once find the same.
            count = self._filters_in_block[use] = self._look(*use)
        if not count:
            return None
        key, held = (weights, count), self._held
        block = held.blocks.get(key)
        if block is None:
            block = _opened(self._pack(_plain(weights), shape, size), weights, count)
            held.blocks[key] = block
            held.size += block.numbers.nbytes
            while held.size > _CAPACITY and len(held.blocks) > 1:
                _, gone = held.blocks.popitem(last=False)
                held.size -= gone.numbers.nbytes
        else:
            held.blocks.move_to_end(key)
        return block

    def _look(self, weights: tuple[int, ...], shape: Shape, size: tuple[int, ...]) -> int:
        """How many filters stand side by side; 0 for another order."""
        plain = _plain(weights)
        packed = self._pack(plain, shape, size)
        if packed.layout is not torch._mkldnn:  # type: ignore[attr-defined]
            return 0
        for count in _SIZES:
            blocks = -(-weights[0] // count)
            expected = torch.zeros(blocks * count, *weights[1:])
            expected[: weights[0]] = plain
            ordered = expected.view(blocks, count, *weights[1:]).permute(0, 3, 4, 2, 1)
            if torch.ops.mkldnn._nbytes(packed) != ordered.numel() * 4:
                continue
            if np.array_equal(_opened(packed, weights, count).numbers.ravel(), ordered.ravel()):
                return count
        return 0


def _plain(weights: tuple[int, ...]) -> Tensor:
    """Numbers of which each is exact in single precision."""
    return (torch.arange(int(np.prod(weights))) % 9_999_991).float().view(weights)


def _opened(packed: Tensor, weights: tuple[int, ...], count: int) -> Block:
    filters, inputs, height, width = weights
    blocks = -(-filters // count)
    shape = (blocks, height * width, inputs, count)
    address = int(torch.ops.mkldnn.data_ptr(packed))
    memory = (ctypes.c_float * int(np.prod(shape))).from_address(address)
    return Block(packed, np.ctypeslib.as_array(memory).reshape(shape))
