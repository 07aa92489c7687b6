"""What the steps of a plan compute with: compiled loops where they exist, torch elsewhere."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pathlens.skipping.activation import Activation
from pathlens.skipping.blocks import Blocks, Shape
from pathlens.skipping.channels import Kept
from pathlens.skipping.windows import Window

LAST = torch.channels_last

_NOTHING = np.empty(0, np.float32)

_TOGETHER = 16
"""Channels from which on loops over channels are worth their beginning."""


class Processor:
    """Plain torch, on any device and in any precision."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device = device
        self.dtype = dtype

    def pack(self, weights: Tensor, shape: Shape, size: tuple[int, ...]) -> Tensor:
        """Weights (filters, inputs, height, width) as `convolve` likes them best."""
        return weights.contiguous(memory_format=LAST)

    def convolve(
        self, x: Tensor, weights: Tensor, bias: Tensor | None, shape: Shape, act: Activation
    ) -> Tensor:
        """Convolution and activation."""
        return act(F.conv2d(x, weights, bias, *shape))

    def gather(self, store: Tensor, rows: Kept | None, columns: Kept | None) -> Tensor:
        """Weights (rows, columns, taps) of a store (filters + 1, taps, inputs + 1); all for None."""
        picked = store[:-1] if rows is None else store.index_select(0, rows.on(self.device))
        if columns is None:
            picked = picked[:, :, :-1]
        else:
            picked = picked.index_select(2, columns.on(self.device))
        return picked.transpose(1, 2)

    def gather_briefly(
        self,
        store: Tensor,
        rows: Kept | None,
        columns: Kept | None,
        taps: tuple[int, ...],
        shape: Shape,
        size: tuple[int, ...],
    ) -> Tensor:
        """Weights (rows, columns, height, width) that the next call of this thread may overwrite.

        Args:
            store: (filters + 1, taps, inputs + 1), zeros for holes.
            rows: The filters; None for all.
            columns: The inputs; None for all.
            taps: Height and width of the kernel.
            shape: Stride, padding, dilation.
            size: Shape of one image's input with these columns.
        """
        weights = self.gather(store, rows, columns)
        return weights.reshape(*weights.shape[:2], *taps)

    def pick(self, values: Tensor, kept: Kept) -> Tensor:
        """The numbers of the channels that are kept, of values (channels + 1, ...)."""
        return values.index_select(0, kept.on(self.device))

    def shift(
        self, store: Tensor, rows: Kept | None, columns: Kept, absent: Tensor, bias: Tensor
    ) -> Tensor:
        """`bias` (rows,) less what the weights of `columns` make of `absent` (inputs + 1,)."""
        index = columns.on(self.device)
        return bias - torch.mv(self.gather(store, rows, columns)[:, :, 0], absent[index])

    def pool(self, x: Tensor, kept: Kept, base: Tensor) -> Tensor:
        """Mean over pixels, (N, channels); `base` (channels,) for channels that are absent."""
        mean = x.mean(dim=(2, 3), dtype=base.dtype)
        return mean if kept.whole else self._put(mean, kept, base.expand(len(x), -1).clone())

    def max_pool(self, x: Tensor, window: Window) -> Tensor:
        """Maxima of pictures over windows."""
        return window(x)

    def scatter(self, x: Tensor, kept: Kept, base: Tensor) -> Tensor:
        """All channels of a compact value, with `base` (channels,) for those that are absent."""
        base = base.to(x.dtype)
        full = base.view(1, -1, *[1] * (x.dim() - 2)).expand(len(x), -1, *x.shape[2:]).clone()
        return self._put(x, kept, full)

    def _put(self, x: Tensor, kept: Kept, full: Tensor) -> Tensor:
        places, channels = self._filled(kept)
        return full.index_copy_(1, channels, x if places is None else x.index_select(1, places))

    def _filled(self, kept: Kept) -> tuple[Tensor | None, Tensor]:
        """Places that are no holes, None for all, and the channels there."""
        if len(kept.filled) == kept.places:
            return None, kept.on(self.device)
        channels = torch.from_numpy(kept.index[kept.filled]).to(self.device)
        return torch.from_numpy(kept.filled).to(self.device), channels

    def scatter_add(self, x: Tensor, kept: Kept, into: Tensor, *, rectify: bool) -> Tensor:
        """`into`, which may be overwritten, plus a compact value, then ReLU if asked for."""
        places, channels = self._filled(kept)
        whole = torch.promote_types(x.dtype, into.dtype)
        x, into = x.to(whole), into.to(whole)
        into.index_add_(1, channels, x if places is None else x.index_select(1, places))
        return into.relu_() if rectify else into

    def affine(
        self, x: Tensor, kept: Kept, scale: Tensor, shift: Tensor, *, rectify: bool
    ) -> Tensor:
        """X · scale + shift by channel, both (channels + 1,), then ReLU if asked for."""
        if kept.whole:
            scale, shift = scale[:-1], shift[:-1]
        else:
            index = kept.on(self.device)
            scale, shift = scale[index], shift[index]
        shape = (1, -1, *[1] * (x.dim() - 2))
        result = torch.addcmul(shift.view(shape), x, scale.view(shape)).to(x.dtype)
        return result.relu_() if rectify else result


class Compiled(Processor):
    """Single precision on the processor: compiled loops, and oneDNN where torch has it."""

    ATTRIBUTES: ClassVar = {
        "": "none",
        "relu": "relu",
        "hardtanh": "hardtanh",
        "hardswish": "hardswish",
        "silu": "swish",
    }

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"), torch.float32)
        from pathlens.skipping import asking, kernels

        self.asking, self.kernels = asking, kernels
        self.blocks = Blocks(self.pack)

    @cached_property
    def _fused(self) -> Any:
        """Torch's convolution with an activation in it; None where it was built without oneDNN."""
        if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            return None
        found = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
        # The one overload for one input, so that it is not looked for in every call.
        return None if found is None else found.default

    def pack(self, weights: Tensor, shape: Shape, size: tuple[int, ...]) -> Tensor:
        """As `Processor` does."""
        weights = super().pack(weights, shape, size)
        if self._fused is None:
            return weights
        packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
            weights, shape.padding, shape.stride, shape.dilation, shape.groups, list(size)
        )
        return packed

    def convolve(
        self, x: Tensor, weights: Tensor, bias: Tensor | None, shape: Shape, act: Activation
    ) -> Tensor:
        """As `Processor` does."""
        if self._fused is None:
            return super().convolve(x, weights, bias, shape, act)
        made: Tensor = self._fused(
            x, weights, bias, shape.padding, shape.stride, shape.dilation, shape.groups,
            self.ATTRIBUTES[act.name], act.bounds, "",
        )  # fmt: skip
        return made

    def gather_briefly(
        self,
        store: Tensor,
        rows: Kept | None,
        columns: Kept | None,
        taps: tuple[int, ...],
        shape: Shape,
        size: tuple[int, ...],
    ) -> Tensor:
        """As `Processor` does."""
        filters = store.shape[0] - 1 if rows is None else rows.places
        inputs = store.shape[2] - 1 if columns is None else columns.places
        blocks = self.blocks.find((filters, inputs, *taps), shape, size) if self._fused else None
        if blocks is None:
            return super().gather_briefly(store, rows, columns, taps, shape, size)
        self.kernels.gather(
            store.numpy(),
            np.arange(filters) if rows is None else rows.index,
            np.arange(inputs) if columns is None else columns.index,
            blocks.numbers,
        )
        return blocks.weights

    def pick(self, values: Tensor, kept: Kept) -> Tensor:
        """As `Processor` does."""
        return torch.from_numpy(values.numpy()[kept.index])

    def shift(
        self, store: Tensor, rows: Kept | None, columns: Kept, absent: Tensor, bias: Tensor
    ) -> Tensor:
        """As `Processor` does."""
        bias = bias.clone()
        index = np.arange(len(bias)) if rows is None else rows.index
        self.kernels.shift(store.numpy(), index, columns.index, absent.numpy(), bias.numpy())
        return bias

    def pool(self, x: Tensor, kept: Kept, base: Tensor) -> Tensor:
        """As `Processor` does."""
        into = torch.empty(len(x), kept.channels, dtype=torch.float32)
        images, places, height, width = x.shape
        pictures = rows_of(x.float()).reshape(images, height * width, places)
        self.asking.pool(pictures, kept.index, base.numpy(), into.numpy())
        return into

    def max_pool(self, x: Tensor, window: Window) -> Tensor:
        """As `Processor` does."""
        if not self.takes_maxima(x, window):
            return super().max_pool(x, window)
        return self.max_pool_and_sum(x, window, _NOTHING)

    def takes_maxima(self, x: Tensor, window: Window) -> bool:
        """Whether the compiled loop takes these; asked in every run.

        It knows no dilation. It gains where windows overlap, as it then reads most numbers once, and
        channels are enough to be read together; torch's operator works in several threads.
        """
        if not _single_pictures(x) or window.dilation != (1, 1) or not window.fits(x.shape[2:]):
            return False
        return window.overlaps and x.shape[1] >= _TOGETHER and torch.get_num_threads() == 1

    def max_pool_and_sum(self, x: Tensor, window: Window, sums: Any) -> Tensor:
        """`max_pool` of pictures for which `takes_maxima` holds, which sums what it writes.

        Torch's operator writes, beside the maxima, where they were, which takes twice their memory,
        and reads a number once for every window that it is in.

        Args:
            x: (N, channels, height, width).
            window: What the maxima are taken of.
            sums: float32 (channels,), takes the sums over all pixels of all images; (0,) for none.
        """
        size = *x.shape[:2], *window.made_of(x.shape[2:])
        into = torch.empty(size, dtype=x.dtype, memory_format=LAST)
        pixels = (
            picture.permute(0, 2, 3, 1).numpy()
            for picture in (x.contiguous(memory_format=LAST), into)
        )
        self.kernels.max_pool(*pixels, window.kernel, window.stride, window.padding, sums)
        return into

    def scatter(self, x: Tensor, kept: Kept, base: Tensor) -> Tensor:
        """As `Processor` does."""
        if not _single_pictures(x):
            return super().scatter(x, kept, base)
        into = torch.empty(len(x), kept.channels, *x.shape[2:], dtype=x.dtype, memory_format=LAST)
        self.kernels.scatter(rows_of(x), kept.index, base.numpy(), rows_of(into))
        return into

    def scatter_add(self, x: Tensor, kept: Kept, into: Tensor, *, rectify: bool) -> Tensor:
        """As `Processor` does."""
        if not self.adds(x, into):
            return super().scatter_add(x, kept, into, rectify=rectify)
        return self.scatter_add_and_sum(x, kept, into, _NOTHING, rectify=rectify)

    def adds(self, x: Tensor, into: Tensor) -> bool:
        """Whether the compiled loop can add these: it reads and writes single precision only.

        Asked in every run, as autocast changes types after planning.
        """
        return _single_pictures(x) and _single_pictures(into)

    def scatter_add_and_sum(
        self, x: Tensor, kept: Kept, into: Tensor, sums: Any, *, rectify: bool
    ) -> Tensor:
        """`scatter_add` of pictures for which `adds` holds, which sums the result while it is written.

        Args:
            x: The compact value, (N, places, H, W).
            kept: Its channels.
            into: (N, channels, H, W), may be overwritten.
            sums: float32 (channels,), takes the sums over all pixels of all images, so that one image is
                to be given; (0,) for none.
            rectify: Whether ReLU follows.
        """
        into, x = into.contiguous(memory_format=LAST), x.contiguous(memory_format=LAST)
        images, channels, height, width = into.shape
        self.asking.scatter_add(
            x.data_ptr(), kept.index, rectify, into.data_ptr(), images * height * width, sums, channels
        )  # fmt: skip
        return into

    def affine(
        self, x: Tensor, kept: Kept, scale: Tensor, shift: Tensor, *, rectify: bool
    ) -> Tensor:
        """As `Processor` does."""
        if not _single_pictures(x):
            return super().affine(x, kept, scale, shift, rectify=rectify)
        x = x.contiguous(memory_format=LAST)
        into = torch.empty_like(x)
        self.kernels.affine(
            rows_of(x), kept.index, scale.numpy(), shift.numpy(), rectify, rows_of(into)
        )
        return into


def _single_pictures(x: Tensor) -> bool:
    return x.dim() == 4 and x.dtype == torch.float32


def rows_of(x: Tensor) -> Any:
    """Pictures (N, C, H, W) as an array of pixels (N · H · W, C), channels last."""
    pixels = x.contiguous(memory_format=LAST).permute(0, 2, 3, 1)
    return pixels.reshape(-1, x.shape[1]).numpy()


def processor_for(device: torch.device, dtype: torch.dtype, *, compiled: bool = True) -> Processor:
    """The fastest there is; plain torch if `compiled` is False."""
    if compiled and device.type == "cpu" and dtype == torch.float32:
        return Compiled()
    return Processor(device, dtype)
