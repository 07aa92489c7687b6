"""The course of the search: pairs, a beam that sets the bars, and all that could still pass them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from pathlens.analysis.associating.packed import NO_FILTER, pack_aims, pack_columns
from pathlens.analysis.associating.progress import Step, silent
from pathlens.analysis.associating.qualities import Quality
from pathlens.analysis.source import Bits, Floats, Ints

if TYPE_CHECKING:
    from pathlens.analysis.associating.kernel import Aims, Columns, Kept

# Sets that are widened first, for each concept and size, so that the exact search starts with high bars.
_LEADS = 32
# Counts of pairs and packed images of the concepts that are searched together, in bytes.
_MEMORY = 512 * 2**20


@dataclass(frozen=True)
class Best:
    """The best sets of each concept, best first.

    Attributes:
        value: float64 (concepts, top), minus infinity where there is none.
        members: int64 (concepts, top, size), rising, -1 behind the last.
        single: int64 (concepts,), the best single filter.
        visited: Number of sets times concepts whose joint images were counted.
    """

    value: Floats = field(repr=False)
    members: Ints = field(repr=False)
    single: Ints = field(repr=False)
    visited: int


def nothing(concepts: int) -> Best:
    """What is found without filters."""
    none = np.zeros((concepts, 0))
    return Best(none, np.zeros((concepts, 0, 2), np.int64), np.zeros(concepts, np.int64), 0)


@dataclass(frozen=True)
class SetSearch:
    """The settings of a search.

    Attributes:
        quality: What makes a set good.
        max_size: Filters in a set, at most.
        top: Sets kept for each concept.
        least: Images that a set has to be on for.
        beam: Sets of each size that are widened; None to try all.
        threads: Threads; None for as many as numba would take.
    """

    quality: Quality
    max_size: int
    top: int
    least: int
    beam: int | None
    threads: int | None

    def best(self, bits: Bits, concepts: Bits, step: Step = silent) -> Best:
        """Search for all concepts, so many at a time that memory stays small.

        Args:
            bits: bool (images, filters), with at least one filter.
            concepts: bool (images, concepts).
            step: Called with the share of the search that was done since.
        """
        columns = pack_columns(bits, self.quality, min(self.least, len(bits)))
        number = concepts.shape[1]
        parts = [
            self._together(
                columns, bits, concepts[:, x], _scaled(step, (x.stop - x.start) / number)
            )
            for x in _blocks(bits, concepts)
        ]
        if not parts:
            return nothing(0)
        return Best(
            value=np.concatenate([kept.value for kept, _ in parts]),
            members=np.concatenate([kept.members for kept, _ in parts]).astype(np.int64),
            single=np.concatenate([single for _, single in parts]),
            visited=sum(int(kept.visited.sum()) for kept, _ in parts),
        )

    def _together(
        self, columns: Columns, bits: Bits, concepts: Bits, step: Step
    ) -> tuple[Kept, Ints]:
        """The best sets of a few concepts, and the best single filters."""
        from pathlens.analysis.associating.beam import search_pairs

        aims = pack_aims(bits, concepts, self.quality, columns.support)
        kept = self._empty(concepts.shape[1], self.top, self.quality.floor)
        leads = self._empty(concepts.shape[1], self.beam or _LEADS, -np.inf)
        single = np.zeros(concepts.shape[1], dtype=np.int64)
        search_pairs(columns, aims, kept, leads, self.max_size > 1, single)
        counted = kept.visited.copy()
        self._widen(columns, aims, kept, leads)
        if self.beam is None:
            kept.visited[:] = counted
            self._try_all(columns, aims, kept, step)
        return kept, single

    def _empty(self, concepts: int, top: int, floor: float) -> Kept:
        from pathlens.analysis.associating.kernel import Kept

        size = max(self.max_size, 2)
        return Kept(
            value=np.full((concepts, top), -np.inf),
            members=np.full((concepts, top, size), NO_FILTER, dtype=np.int32),
            floor=np.full(concepts, floor),
            bar=np.full(concepts, floor),
            visited=np.zeros(concepts, dtype=np.int64),
        )

    def _widen(self, columns: Columns, aims: Aims, kept: Kept, leads: Kept) -> None:
        """Sets that widen the best of one filter less: a beam, or high bars for the exact search."""
        from pathlens.analysis.associating.beam import widen

        for size in range(3, self.max_size + 1):
            wider = self._empty(len(kept.floor), leads.value.shape[1], -np.inf)
            widen(columns, aims, kept, leads, wider, size)
            leads = wider

    def _try_all(self, columns: Columns, aims: Aims, kept: Kept, step: Step) -> None:
        """Sets of three and more filters, branch by branch.

        All branches start with the same bars, so that nothing depends on which is done first.
        """
        from pathlens.analysis.associating.branches import search_branch

        def one(first: int) -> Kept:
            own = self._empty(len(bars), self.top, self.quality.floor)
            own.bar[:] = bars
            search_branch(columns, aims, own, first, size)
            return own

        bars = kept.bar.copy()
        size = min(self.max_size, len(columns.words))
        firsts = range(len(columns.words) - 2) if size > 2 else range(0)
        with ThreadPoolExecutor(self.threads or _numba_threads()) as pool:
            for first, own in zip(firsts, pool.map(one, firsts), strict=True):
                _merge(kept, own)
                step(_share(first, len(columns.words)))


def _scaled(step: Step, share: float) -> Step:
    return lambda done: step(done * share)


def _share(first: int, filters: int) -> float:
    """Work of a branch, taken as its triples, among that of all branches."""
    return comb(filters - first - 1, 2) / comb(filters, 3)


def _numba_threads() -> int:
    from numba import config

    settings: Any = config
    return int(settings.NUMBA_NUM_THREADS)


def _merge(kept: Kept, own: Kept) -> None:
    """Put what a branch found among what is kept."""
    from pathlens.analysis.associating.kernel import insert

    kept.visited[:] += own.visited
    for concept, place in zip(*np.nonzero(own.value > -np.inf), strict=True):
        members = own.members[concept, place]
        chosen = members[members != NO_FILTER]
        insert(kept, int(concept), float(own.value[concept, place]), chosen)


def _blocks(bits: Bits, concepts: Bits) -> Iterator[slice]:
    """Neighbouring concepts that fit into memory together."""
    images, filters = bits.shape
    positives = concepts.sum(axis=0, dtype=np.int64)
    sizes = 4 * filters**2 + np.minimum(positives, images - positives) * filters // 8
    begin, total = 0, 0
    for concept, size in enumerate(sizes.tolist()):
        if total and total + size > _MEMORY:
            yield slice(begin, concept)
            begin, total = concept, 0
        total += size
    if len(sizes):
        yield slice(begin, len(sizes))
