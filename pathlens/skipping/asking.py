"""The compiled loops behind gating modules: additions that sum what is asked, and asking in one call.

Pooling, both layers and the threshold are one loop. In single precision on the processor; what is large
is handed over by address. Importing this imports numba, and nothing of the package: compiled code on
disk sees changes of this file only.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

_carray: Any = numba.carray  # type: ignore[attr-defined]

_BLOCK = 64
"""Pixels that are summed before they are added to the whole, which keeps rounding small."""

_ROWS = 4
"""Rows of weights that are read at once, so that the processor reads ahead in all of them."""


def _inttoptr(typing: Any, address: Any) -> Any:
    """An address as a pointer: handing over numbers costs a quarter of handing over tensors."""

    def made(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.int64), made


_pointer: Any = intrinsic(_inttoptr)


def _at(address: int, rows: int, columns: int) -> Any:
    """The numbers (rows, columns) at an address."""
    return _carray(_pointer(address), (rows, columns), np.float32)


def _scatter_add(
    address: int,
    index: Any,
    rectify: bool,
    into_address: int,
    pixels: int,
    sums: Any,
    channels: int,
) -> None:
    """Into (pixels, channels) += x (pixels, places) at its channels, then ReLU if asked for.

    Both are given by address. What comes out is summed over pixels into `sums` (channels,), unless that
    is empty: a gating module that asks for the mean then needs not read it all again.
    """
    places = np.flatnonzero(index < channels)
    targets = index[places]
    x, into = at(address, pixels, len(index)), at(into_address, pixels, channels)
    least = np.float32(0 if rectify else -np.inf)
    block = np.zeros(len(sums), dtype=np.float32)
    sums[:] = 0
    for pixel in range(pixels):
        source, target = x[pixel], into[pixel]
        for number in range(len(places)):
            target[targets[number]] += source[places[number]]
        if len(sums) > 0:
            for channel in range(channels):
                made = max(target[channel], least)
                target[channel] = made
                block[channel] += made
            if pixel % _BLOCK == _BLOCK - 1 or pixel == pixels - 1:
                sums += block
                block[:] = 0
        elif rectify:
            for channel in range(channels):
                target[channel] = max(target[channel], least)


def _mean(x: Any, index: Any, base: Any, into: Any) -> None:
    """Mean over pixels of x (pixels, places), put at its channels; `base` (channels,) elsewhere."""
    pixels, places = x.shape
    total = np.zeros(places, dtype=np.float32)
    block = np.empty(places, dtype=np.float32)
    for start in range(0, pixels, _BLOCK):
        stop = min(start + _BLOCK, pixels)
        block[:] = 0
        pixel = start
        # Four pixels at once load and store each sum a quarter as often.
        while pixel + 4 <= stop:
            a, b, c, d = x[pixel], x[pixel + 1], x[pixel + 2], x[pixel + 3]
            for place in range(places):
                block[place] += (a[place] + b[place]) + (c[place] + d[place])
            pixel += 4
        while pixel < stop:
            a = x[pixel]
            for place in range(places):
                block[place] += a[place]
            pixel += 1
        for place in range(places):
            total[place] += block[place]
    into[:] = base
    for place in range(places):
        if index[place] < len(into):
            into[index[place]] = total[place] / np.float32(pixels)


def _add_rows(values: Any, weights: Any, into: Any) -> None:
    """Into (outputs,) += values (inputs,) · weights (inputs, outputs), for values that are not zero.

    Of silenced channels not even the weights are read.
    """
    row = np.empty(_ROWS, dtype=np.int64)
    count = 0
    for place in range(len(values)):
        if values[place] != 0:
            row[count] = place
            count += 1
        if count == _ROWS:
            a, b, c, d = weights[row[0]], weights[row[1]], weights[row[2]], weights[row[3]]
            s, t, u, v = values[row[0]], values[row[1]], values[row[2]], values[row[3]]
            for output in range(len(into)):
                into[output] += (s * a[output] + t * b[output]) + (u * c[output] + v * d[output])
            count = 0
    for place in range(count):
        a, s = weights[row[place]], values[row[place]]
        for output in range(len(into)):
            into[output] += s * a[output]


def _pool(x: Any, index: Any, base: Any, into: Any) -> None:
    """Means (images, channels) of pictures (images, pixels, places)."""
    for image in range(len(x)):
        mean(x[image], index, base, into[image])


def _ask(
    layers: Any,
    picture: int,
    pixels: int,
    places: Any,
    pooled: Any,
    forced: Any,
    logits: Any,
    on: Any,
    index: Any,
) -> int:
    """Pooling, both layers of a gating module and what they decide, for all images of a batch.

    Writes the pooled inputs, the logits, which filters are on (given ones first: 0, 1, or NaN for those
    decided; none at all if `forced` is empty), and the numbers of those that any image has on to the
    front of `index`, whose rest is holes.

    Args:
        layers: Sizes and addresses of the module, see `Layers.table`.
        picture: Address of the input (N, pixels, places), or 0 where `pooled` holds its mean already.
        pixels: How many.
        places: Channel at each place.
        pooled: (N, channels).
        forced: (N, filters), or (0, 0).
        logits: (N, filters).
        on: (N, filters), 1 or 0.
        index: (filters and some more,).

    Returns:
        How many filters are on in any image.
    """
    channels, units, filters = layers[0], layers[1], layers[2]
    first, second = at(layers[4], channels, units), at(layers[6], units, filters)
    first_bias, second_bias = at(layers[5], 1, units)[0], at(layers[7], 1, filters)[0]
    if picture != 0:
        x, base = at(picture, len(pooled) * pixels, len(places)), at(layers[3], 1, channels)[0]
        for image in range(len(pooled)):
            mean(x[image * pixels : (image + 1) * pixels], places, base, pooled[image])
    hidden = np.empty(units, dtype=np.float32)
    for image in range(len(pooled)):
        hidden[:] = first_bias
        add_rows(pooled[image], first, hidden)
        for unit in range(units):
            hidden[unit] = max(hidden[unit], np.float32(0))
        logits[image] = second_bias
        add_rows(hidden, second, logits[image])
        for filter_ in range(filters):
            on[image, filter_] = np.float32(logits[image, filter_] > 0)
    for image in range(len(forced)):
        for filter_ in range(filters):
            if not np.isnan(forced[image, filter_]):
                on[image, filter_] = np.float32(forced[image, filter_] > 0)
    count = 0
    index[:] = filters
    for filter_ in range(filters):
        if on[:, filter_].any():
            index[count] = filter_
            count += 1
    return count


_compiled: Any = numba.njit(nogil=True, cache=True)
_reordering: Any = numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})

at: Any = _compiled(_at)
scatter_add: Any = _compiled(_scatter_add)
mean: Any = _compiled(_mean)
pool: Any = _compiled(_pool)
add_rows: Any = _reordering(_add_rows)
ask: Any = _reordering(_ask)
