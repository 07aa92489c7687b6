"""The search for combinations that go with a concept, on discovery images only."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from pathlens.analysis.associating.best_sets import SetSearch, nothing
from pathlens.analysis.associating.packed import NO_FILTER
from pathlens.analysis.associating.progress import Step, silent
from pathlens.analysis.associating.qualities import quality as quality_named
from pathlens.analysis.source import Bits, Floats, Ints, dynamic_columns
from pathlens.analysis.statistics import phi
from pathlens.errors import PathLensError

__all__ = ["NO_FILTER", "Found", "search_layer"]


@dataclass(frozen=True)
class Found:
    """The best combinations of a layer, a row a combination and concept.

    Attributes:
        concept: int64 (found,), position of the concept.
        members: int64 (found, the largest size but at least 2), filters in rising order; -1 behind the
            last one.
        value: float64 (found,), the quality on the discovery images.
        phi: float64 (found,), phi on the discovery images.
        best_single: int64 (found,), the layer's best single filter for that concept by the quality.
        filters: Number of filters searched (the dynamic ones).
        candidates: Number of combinations times concepts that the result is the best of: all there
            are, or for a beam those that it tried.
        visited: Number of combinations times concepts whose joint images were counted; the others
            could not be among the best.
        quality: Name of the quality.
        least_support: Images that a combination had to be on for.
        exact: Whether the best of all combinations were found for sure, which a beam cannot say.
    """

    concept: Ints
    members: Ints
    value: Floats
    phi: Floats
    best_single: Ints
    filters: int
    candidates: int
    visited: int
    quality: str
    least_support: int
    exact: bool

    def __len__(self) -> int:
        return len(self.concept)

    @property
    def pruned(self) -> int:
        """Number of combinations times concepts that bounds left out."""
        return self.candidates - self.visited


def search_layer(
    bits: Bits,
    concepts: Bits,
    *,
    max_size: int = 3,
    top: int = 3,
    quality: str = "phi",
    min_support: int | None = None,
    beam: int | None = None,
    threads: int | None = None,
    step: Step = silent,
) -> Found:
    """Find for every concept the `top` combinations with the highest quality.

    All sets of at most `max_size` dynamic filters (on together) compete. A set counts only if its
    quality is above what independence gives and, with several filters, above that of each of its proper
    subsets. Ties go to fewer, then to lower filters. The result does not depend on the number of
    threads.

    The search is an exact branch and bound: supports and pairs are counted on packed bits, and what
    cannot reach the worst kept quality of a concept is left (`qualities.base` says why that is safe).
    The first call on a machine compiles (some ten seconds); what it compiles is kept on disk.

    Args:
        bits: bool (images, filters), gates of the layer on the discovery images.
        concepts: bool (images, concepts).
        max_size: Filters in a combination, at most.
        top: Combinations a concept, at most.
        quality: "phi", "wracc" or "lift".
        min_support: Images that a combination has to be on for; None for the quality's own: 1, and for
            lift one in a hundred, at least 5.
        beam: Instead of all sets of three and more filters, only those that widen the so many best of
            one filter less. Faster, and not exact.
        threads: Threads; None for all processors that this process may use, or as many as
            NUMBA_NUM_THREADS says.
        step: Called with the share of the search that was done since it was called last.

    Raises:
        PathLensError: If there is no such quality or an option is out of range.
    """
    chosen = quality_named(quality)
    least = chosen.least_support(len(bits)) if min_support is None else min_support
    _check(max_size, top, least, beam)
    filters = np.flatnonzero(dynamic_columns(bits))
    on = bits[:, filters]
    search = SetSearch(chosen, max_size, top, least, beam, threads)
    best = search.best(on, concepts, step) if len(filters) else nothing(concepts.shape[1])
    rows, places = np.nonzero(best.value > -np.inf)
    numbers = np.append(filters, NO_FILTER)
    members = numbers[best.members[rows, places]]
    exact = beam is None or max_size < 3
    sets = sum(comb(len(filters), size) for size in range(1, max_size + 1))
    return Found(
        concept=rows.astype(np.int64),
        members=members.astype(np.int64),
        value=best.value[rows, places],
        phi=_phi(bits, concepts, members, rows),
        best_single=numbers[best.single[rows]].astype(np.int64),
        filters=len(filters),
        candidates=sets * concepts.shape[1] if exact else best.visited,
        visited=best.visited,
        quality=quality,
        least_support=least,
        exact=exact,
    )


def _phi(bits: Bits, concepts: Bits, members: Ints, rows: Ints) -> Floats:
    """Phi of each combination that was found."""
    counts = np.zeros((len(rows), 2), dtype=np.int64)
    for row, (concept, those) in enumerate(zip(rows, members, strict=True)):
        on = bits[:, those[those != NO_FILTER]].all(axis=1)
        counts[row] = (on & concepts[:, concept]).sum(), on.sum()
    return phi(counts[:, 0], counts[:, 1], concepts.sum(axis=0)[rows], len(bits))


def _check(max_size: int, top: int, least: int, beam: int | None) -> None:
    if max_size < 1:
        raise PathLensError(f"max_size is {max_size}: combinations have at least 1 filter.")
    if top < 1:
        raise PathLensError(f"top is {top}: ask for at least 1 combination.")
    if least < 1:
        raise PathLensError(f"min_support is {least}: give at least 1 image.")
    if beam is not None and beam < 1:
        raise PathLensError(f"beam is {beam}: keep at least 1 set, or leave it out.")
