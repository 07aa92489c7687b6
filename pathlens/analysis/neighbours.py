"""Exact nearest neighbours of paths: which images are routed most alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Bits, Ints
from pathlens.errors import PathLensError

Words = npt.NDArray[np.uint64]

# Queries that one thread takes at a time: they and their neighbours stay in the cache.
_TILE = 256


def nearest(
    paths: Bits,
    queries: Bits | None = None,
    count: int = 15,
    *,
    same: Ints | None = None,
    threads: int | None = None,
) -> tuple[Ints, Ints]:
    """The exactly nearest paths by Hamming distance, nearest first, ties by the lower index.

    Paths are packed into words of 64 gates; differing gates are counted by the processor's own
    instruction, all pairs, block by block. Beside packed bits and the result, memory does not grow with
    the images. The result does not depend on the number of threads. The first call on a machine
    compiles (some seconds); what it compiles is kept on disk.

    Args:
        paths: bool (images, filters).
        queries: bool (queries, filters); None for the paths themselves, each without itself.
        count: Neighbours of each query.
        same: int64 (queries,), where queries are among the paths: the position of each, which is then
            no neighbour of itself; -1 for one that is not among them. Not used without queries.
        threads: Threads; None for all processors that this process may use, or as many as
            NUMBA_NUM_THREADS says.

    Returns:
        Distances, int64 (queries, count), in filters, and positions in `paths`, of the same shape.

    Raises:
        PathLensError: If there are fewer than `count` neighbours or the shapes do not fit.
    """
    own, asked = _asked(paths, queries, same)
    others = len(paths) - int((own >= 0).any())
    if not 1 <= count <= others:
        raise PathLensError(
            f"{count} neighbours were asked for among {others} other paths: give a count from 1 "
            f"to {others}."
            if others > 0
            else "There is no other path to be a neighbour: give at least two."
        )
    words = _packed(paths)
    packed = words if asked is paths else _packed(asked)
    distances = np.full((len(asked), count), paths.shape[1] + 1, dtype=np.int64)
    indices = np.zeros_like(distances)
    _fill(np.ascontiguousarray(words.T), packed, own, distances, indices, threads)
    return distances, indices


def _asked(paths: Bits, queries: Bits | None, same: Ints | None) -> tuple[Ints, Bits]:
    """Position of each query among the paths, -1 for none, and the queries."""
    if queries is None:
        return np.arange(len(paths), dtype=np.int64), paths
    if queries.shape[1] != paths.shape[1]:
        raise PathLensError(
            f"The queries have {queries.shape[1]} filters and the paths {paths.shape[1]}: take both "
            "from the same layers."
        )
    own = np.full(len(queries), -1, dtype=np.int64) if same is None else np.asarray(same, np.int64)
    if own.shape != (len(queries),) or (own >= len(paths)).any():
        raise PathLensError(
            f"same needs one position below {len(paths)} for each of {len(queries)} queries: give "
            "-1 for a query that is not among the paths."
        )
    return own, queries


def _packed(bits: Bits) -> Words:
    """Rows as words of 64 bits, zeros behind: uint64 (rows, words), at least one word."""
    width = 8 * max(1, -(-bits.shape[1] // 64))
    packed = np.zeros((len(bits), width), dtype=np.uint8)
    used = -(-bits.shape[1] // 8)
    packed[:, :used] = np.packbits(bits, axis=1)
    return packed.view(np.uint64)


def _fill(
    words: Words, queries: Words, own: Ints, distances: Ints, indices: Ints, threads: int | None
) -> None:
    """Search tile by tile; each tile writes rows that no other writes."""
    from numba import config

    from pathlens.analysis.hamming_kernel import search

    def one(start: int) -> None:
        tile = slice(start, start + _TILE)
        search(words, queries[tile], own[tile], distances[tile], indices[tile])

    settings: Any = config
    starts = range(0, len(queries), _TILE)
    with ThreadPoolExecutor(threads or settings.NUMBA_NUM_THREADS) as pool:
        list(pool.map(one, starts))
