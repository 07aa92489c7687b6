"""Compiled inner loops for single precision on the processor; importing this imports numba.

Pictures are held channels last, as rows of pixels: (pixels, places). A hole in an index of channels
is one past the last channel; stores of weights have zeros there.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np


def _gather(store: Any, rows: Any, columns: Any, into: Any) -> None:
    """into[r // b, k, c, r % b] = store[rows[r], k, columns[c]]: weights in blocks of b filters.

    b is a multiple of 8; places past the last row are zero.
    """
    blocks, taps, inputs, size = into.shape
    own = np.full(blocks * size, store.shape[0] - 1)
    own[: len(rows)] = rows
    for block in range(blocks):
        # Eight filters at once, each read from its first to its last number: streams as many and as
        # long as the processor reads ahead.
        for first in range(0, size, 8):
            for tap in range(taps):
                row = block * size + first
                s, t = store[own[row], tap], store[own[row + 1], tap]
                u, v = store[own[row + 2], tap], store[own[row + 3], tap]
                w, x = store[own[row + 4], tap], store[own[row + 5], tap]
                y, z = store[own[row + 6], tap], store[own[row + 7], tap]
                for place in range(inputs):
                    column = np.uint32(columns[place])
                    target = into[block, tap, place]
                    target[first] = s[column]
                    target[first + 1] = t[column]
                    target[first + 2] = u[column]
                    target[first + 3] = v[column]
                    target[first + 4] = w[column]
                    target[first + 5] = x[column]
                    target[first + 6] = y[column]
                    target[first + 7] = z[column]


def _shift(store: Any, rows: Any, columns: Any, absent: Any, bias: Any) -> None:
    """bias[r] -= sum over columns of store[rows[r], 0, c] · absent[c]."""
    for row in range(len(rows)):
        source, total = store[rows[row], 0], np.float32(0)
        for column in columns:
            total += source[column] * absent[column]
        bias[row] -= total


def _scatter(x: Any, index: Any, base: Any, into: Any) -> None:
    """Into (pixels, channels) = x (pixels, places) at its channels, `base` elsewhere."""
    channels = into.shape[1]
    for pixel in range(into.shape[0]):
        source, target = x[pixel], into[pixel]
        target[:] = base
        for place in range(len(index)):
            if index[place] < channels:
                target[index[place]] = source[place]


def _wider(most: Any, value: Any) -> Any:
    """The larger one; what is no number stays, as in torch."""
    return value if (value > most) or (value != value) else most


def _maxima(rows: Any, start: int, stop: int, into: Any) -> None:
    """Maxima (numbers,) over the rows from `start` on and before `stop`; three are read at once."""
    if stop - start == 3:
        a, b, c = rows[start], rows[start + 1], rows[start + 2]
        for number in range(len(into)):
            into[number] = wider(wider(a[number], b[number]), c[number])
        return
    into[:] = rows[start]
    for row in range(start + 1, stop):
        a = rows[row]
        for number in range(len(into)):
            into[number] = wider(into[number], a[number])


def _max_pool(x: Any, into: Any, kernel: Any, stride: Any, padding: Any, sums: Any) -> None:
    """Maxima over windows of x (images, height, width, channels); those of a column are taken first.

    What comes out is summed over pixels into `sums` (channels,), unless that is empty: a gating module
    that asks for the mean then needs not read it all again.
    """
    images, height, width, channels = x.shape
    columns = np.empty((width, channels), np.float32)
    flat = columns.reshape(-1)
    block = np.empty(len(sums), np.float32)
    sums[:] = 0
    for image in range(images):
        rows = x[image].reshape(height, -1)
        for row in range(into.shape[1]):
            top = row * stride[0] - padding[0]
            maxima(rows, max(top, 0), min(top + kernel[0], height), flat)
            for column in range(into.shape[2]):
                left = column * stride[1] - padding[1]
                start, stop = max(left, 0), min(left + kernel[1], width)
                maxima(columns, start, stop, into[image, row, column])
            if len(sums) > 0:
                # A row by itself first, which keeps rounding small.
                block[:] = 0
                for column in range(into.shape[2]):
                    made = into[image, row, column]
                    for channel in range(channels):
                        block[channel] += made[channel]
                sums += block


def _affine(x: Any, index: Any, scale: Any, shift: Any, rectify: bool, into: Any) -> None:
    """Into = x · scale + shift of each place's channel, then ReLU if asked for."""
    own_scale, own_shift = scale[index], shift[index]
    least = np.float32(0 if rectify else -np.inf)
    for pixel in range(x.shape[0]):
        source, target = x[pixel], into[pixel]
        for place in range(len(own_scale)):
            target[place] = max(source[place] * own_scale[place] + own_shift[place], least)


def _linear(x: Any, index: Any, absent: Any, weights: Any, bias: Any) -> Any:
    """Bias + sum of (x - absent) · weights (channels, pixels, outputs) over what is not zero."""
    result = bias.copy()
    for place in range(len(index)):
        channel = index[place]
        if channel < weights.shape[0]:
            for pixel in range(x.shape[0]):
                value = x[pixel, place] - absent[channel]
                if value != 0:
                    row = weights[channel, pixel]
                    for output in range(len(result)):
                        result[output] += value * row[output]
    return result


_compiled: Any = numba.njit(nogil=True, cache=True)
_inlined: Any = numba.njit(inline="always")  # a call for every pixel takes longer than its numbers
_reordering: Any = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})

gather: Any = _compiled(_gather)
shift: Any = _reordering(_shift)
wider: Any = _inlined(_wider)
maxima: Any = _inlined(_maxima)
max_pool: Any = _compiled(_max_pool)
scatter: Any = _compiled(_scatter)
affine: Any = _reordering(_affine)
linear: Any = _reordering(_linear)
