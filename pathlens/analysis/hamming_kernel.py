"""The compiled inner loop of the nearest neighbours; importing it imports numba."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import intrinsic

from pathlens.analysis.source import Ints

# One word of so many rows and their distances stay in the nearest cache.
_BLOCK = 512
_RUN = 64


def _ones_of(_: Any, word: Any) -> Any:
    """The processor's own instruction that counts the bits of a word."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return word(word), generate


_ones: Any = intrinsic(_ones_of)


def _differences(words: Any, query: Any, start: int, apart: Any) -> None:
    """Differing bits of one query and the rows from `start` on, into `apart`: int64 (rows,)."""
    stop = start + len(apart)
    apart[:] = 0
    word = 0
    # Four words at once load and store each sum a quarter as often.
    while word + 4 <= len(words):
        first, second = words[word, start:stop], words[word + 1, start:stop]
        third, fourth = words[word + 2, start:stop], words[word + 3, start:stop]
        a, b, c, d = query[word], query[word + 1], query[word + 2], query[word + 3]
        for row in range(len(apart)):
            apart[row] += np.int64(
                _ones(first[row] ^ a)
                + _ones(second[row] ^ b)
                + _ones(third[row] ^ c)
                + _ones(fourth[row] ^ d)
            )
        word += 4
    while word < len(words):
        last, e = words[word, start:stop], query[word]
        for row in range(len(apart)):
            apart[row] += np.int64(_ones(last[row] ^ e))
        word += 1


_fill_differences: Any = numba.njit(nogil=True, cache=True)(_differences)


def _keep_nearest(apart: Any, start: int, distances: Any, indices: Any) -> None:
    """Insert what is nearer than the worst kept so far; equal ones stay in the order of rows."""
    last = len(distances) - 1
    for begin in range(0, len(apart), _RUN):
        run = apart[begin : begin + _RUN]
        least = run[0]
        for value in run:
            least = min(least, value)
        # Nearly every run ends here, so that the loop above has to be free of branches.
        if least >= distances[last]:
            continue
        for row in range(len(run)):
            if run[row] >= distances[last]:
                continue
            place = last
            while place > 0 and distances[place - 1] > run[row]:
                distances[place] = distances[place - 1]
                indices[place] = indices[place - 1]
                place -= 1
            distances[place] = run[row]
            indices[place] = start + begin + row


_insert: Any = numba.njit(nogil=True, cache=True)(_keep_nearest)


def _search(words: Any, queries: Any, same: Any, distances: Any, indices: Any) -> None:
    rows = words.shape[1]
    never = distances[0, 0]
    buffer = np.empty(_BLOCK, np.int64)
    for start in range(0, rows, _BLOCK):
        apart = buffer[: min(_BLOCK, rows - start)]
        for query in range(len(queries)):
            _fill_differences(words, queries[query], start, apart)
            own = same[query] - start
            if 0 <= own < len(apart):
                apart[own] = never
            _insert(apart, start, distances[query], indices[query])


_compiled_search: Any = numba.njit(nogil=True, cache=True)(_search)


def search(words: Any, queries: Any, same: Ints, distances: Ints, indices: Ints) -> None:
    """Nearest rows of each query, nearest first, written into `distances` and `indices`.

    Runs without the interpreter's lock, so that threads can share the queries.

    Args:
        words: uint64 (words, rows): packed paths, one word of all rows side by side.
        queries: uint64 (queries, words).
        same: int64 (queries,), the row that is the query itself and does not count; -1 for none.
        distances: int64 (queries, count), filled with a number above every possible distance.
        indices: int64 (queries, count).
    """
    _compiled_search(words, queries, same, distances, indices)
