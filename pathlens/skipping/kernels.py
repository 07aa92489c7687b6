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
_reordering: Any = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})

gather: Any = _compiled(_gather)
shift: Any = _reordering(_shift)
scatter: Any = _compiled(_scatter)
affine: Any = _reordering(_affine)
linear: Any = _reordering(_linear)
