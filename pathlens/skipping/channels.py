"""Compact values: only the channels that are kept, with the list of which they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Index = NDArray[np.int64]


class Kept:
    """Which channels of a value are there in one run.

    A value has at least one channel, and their number is rounded up, because the convolution library
    needs a millisecond for every shape that it has not seen. The places that are left over are *holes*:
    they hold finite numbers without meaning, which no reader reads.

    Attributes:
        index: Channel at each place, (places,), int64; `channels`, one past the last, in holes.
        channels: Number of channels that the value has in the plain network.
        whole: Whether all channels are there, in their order.
        silent: Whether the layer that made the value has all its filters off; then its first channel,
            which is zero, is kept, so that no value is empty.
    """

    __slots__ = ("__dict__", "channels", "index", "silent", "whole")

    def __init__(
        self, index: Index, channels: int, *, whole: bool = False, silent: bool = False
    ) -> None:
        self.index = index
        self.channels = channels
        self.whole = whole
        self.silent = silent

    @property
    def places(self) -> int:
        """Number of places, holes included."""
        return len(self.index)

    @cached_property
    def filled(self) -> Index:
        """The places that are no holes."""
        return np.flatnonzero(self.index < self.channels)

    @cached_property
    def key(self) -> bytes:
        """The same bytes for the same channels at the same places."""
        return self.index.tobytes()

    def on(self, device: torch.device) -> Tensor:
        """The index as a tensor."""
        return torch.from_numpy(self.index).to(device)


def everything(channels: int) -> Kept:
    """All channels, in their order."""
    return Kept(np.arange(channels), channels, whole=True)


def side_by_side(parts: list[Kept]) -> Kept:
    """The channels of a concatenation."""
    total = sum(part.channels for part in parts)
    if all(part.whole for part in parts):
        return everything(total)
    index = np.empty(sum(part.places for part in parts), dtype=np.int64)
    place = first = 0
    for part in parts:
        moved = part.index + first
        if not part.whole:
            moved[part.index == part.channels] = total
        index[place : place + part.places] = moved
        place, first = place + part.places, first + part.channels
    return Kept(index, total)


def granule(channels: int) -> int:
    """Numbers of kept channels are rounded up to multiples of this.

    Coarse enough that paths meet few shapes, fine enough that few places are left over.
    """
    if channels <= 32:
        return 4
    return 8 if channels <= 256 else 16


@dataclass(frozen=True)
class Compact:
    """What is known of a compact value before it is run.

    Attributes:
        kept: Where a run holds its `Kept`.
        channels: Number of channels in the plain network.
        absent: Value of every channel where it is absent, (channels,); None where all are zero. A
            silenced channel is zero, but a later BN makes a constant of it.
        flat: Positions per channel of a value that was flattened to (N, channels · positions) but is
            still held as pictures; 0 for others.
    """

    kept: int
    channels: int
    absent: Tensor | None = None
    flat: int = 0
