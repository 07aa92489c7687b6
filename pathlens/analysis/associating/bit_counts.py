"""Compiled counts of images for which several columns are on; importing it imports numba."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import intrinsic

# Words of a column that are counted at a time: so many of some hundred columns stay in the cache.
_BLOCK = 128


def _ones_of(_: Any, word: Any) -> Any:
    """The processor's own instruction that counts the bits of a word."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return word(word), generate


_ones: Any = intrinsic(_ones_of)


def _both(first: Any, second: Any) -> Any:
    """Bits that are on in both: the images of two packed columns, uint64 (words,)."""
    total = np.int64(0)
    for word in range(len(first)):
        total += np.int64(_ones(first[word] & second[word]))
    return total


both: Any = numba.njit(nogil=True, cache=True, forceinline=True)(_both)


def _crossed(rows: Any, wanted: Any, columns: Any, counts: Any) -> None:
    """Add to counts[row, column] the images of both, for the wanted rows and all columns.

    Words are taken block by block, so that many images take no longer each than few.
    """
    for start in range(0, columns.shape[1], _BLOCK):
        stop = min(start + _BLOCK, columns.shape[1])
        for row in range(len(rows)):
            if wanted[row]:
                part = rows[row, start:stop]
                for column in range(len(columns)):
                    counts[row, column] += both(part, columns[column, start:stop])


crossed: Any = numba.njit(nogil=True, cache=True)(_crossed)


def _paired(rows: Any, wanted: Any, counts: Any) -> None:
    """Like `crossed` for the rows among themselves, each wanted one with those after it and itself."""
    for start in range(0, rows.shape[1], _BLOCK):
        stop = min(start + _BLOCK, rows.shape[1])
        for row in range(len(rows)):
            if wanted[row]:
                part = rows[row, start:stop]
                for other in range(row, len(rows)):
                    counts[row, other] += both(part, rows[other, start:stop])


paired: Any = numba.njit(nogil=True, cache=True)(_paired)
