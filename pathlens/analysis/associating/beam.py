"""The compiled start of the search, pairs, and the beam; importing it imports numba."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from pathlens.analysis.associating.bit_counts import both
from pathlens.analysis.associating.kernel import (
    ALL,
    Aims,
    Columns,
    Kept,
    column,
    conjoined,
    gains,
    insert,
    worth,
)
from pathlens.analysis.associating.packed import NO_FILTER
from pathlens.analysis.source import Ints


def _offer(kept: Any, concept: Any, value: Any, members: Any) -> None:
    if value > kept.floor[concept] and value >= kept.bar[concept]:
        insert(kept, concept, value, members)


_offer_one: Any = numba.njit(nogil=True, cache=True)(_offer)


def _values(columns: Any, aims: Any, one: Any, other: Any, values: Any) -> None:
    """`worth` of a pair, or of a filter with itself, for all concepts."""
    joint, support = aims.joint[one, other], columns.support[one, other]
    spread = columns.spread[support]
    for concept in range(len(values)):
        above = columns.images * np.float64(joint[concept]) - aims.centre[concept] * support
        values[concept] = above / (spread * aims.scale[concept])


_fill_values: Any = numba.njit(nogil=True, cache=True, error_model="numpy")(_values)


def _pairs(columns: Any, aims: Any, kept: Any, leads: Any, paired: Any, best: Any) -> None:
    filters, concepts = len(columns.words), len(aims.start)
    single, pair = np.empty((filters, concepts)), np.empty(2, np.int32)
    for one in range(filters):
        pair[0] = one
        _fill_values(columns, aims, one, one, single[one])
        for concept in range(concepts):
            if single[one, concept] > single[best[concept], concept]:
                best[concept] = one
            _offer_one(kept, concept, single[one, concept], pair[:1])
    kept.visited[:] += filters
    if not paired:
        return
    kept.visited[:] += filters * (filters - 1) // 2
    values = np.empty(concepts)
    for one in range(filters):
        for other in range(one + 1, filters):
            _fill_values(columns, aims, one, other, values)
            pair[0], pair[1] = one, other
            for concept in range(concepts):
                value = values[concept]
                if value < leads.bar[concept] and value < kept.bar[concept]:
                    continue
                _offer_one(leads, concept, value, pair)
                if value > max(single[one, concept], single[other, concept]):
                    _offer_one(kept, concept, value, pair)


_compiled_pairs: Any = numba.njit(nogil=True, cache=True)(_pairs)


def search_pairs(
    columns: Columns, aims: Aims, kept: Kept, leads: Kept, paired: bool, best: Ints
) -> None:
    """Try all single filters and, if `paired`, all pairs.

    Args:
        columns: The filters.
        aims: The concepts.
        kept: The best ones are written into it.
        leads: The best pairs, whether or not they beat their members, are written into it.
        paired: Whether to try pairs.
        best: int64 (concepts,), the best single filter is written into it; ties to the lower.
    """
    _compiled_pairs(columns, aims, kept, leads, paired, best)


def _joined(prefix: Any, filter_: Any, members: Any) -> Any:
    """Write a set with one more filter, rising; False if it has that filter already."""
    place = 0
    for member in prefix:
        if member == filter_:
            return False
        place += member < filter_
    members[:place] = prefix[:place]
    members[place] = filter_
    members[place + 1 :] = prefix[place:]
    return True


_join: Any = numba.njit(nogil=True, cache=True)(_joined)


def _widen(columns: Any, aims: Any, kept: Any, leads: Any, longer: Any, size: Any) -> None:
    members = np.empty(size, np.int32)
    buffers = np.empty((4, columns.words.shape[1]), np.uint64)
    for concept in range(len(aims.start)):
        for lead in range(leads.members.shape[1]):
            prefix = leads.members[concept, lead, : size - 1]
            if prefix[0] == NO_FILTER:
                break
            rows = conjoined(columns, aims, ALL, prefix, buffers[2])
            side = conjoined(columns, aims, concept, prefix, buffers[3])
            for other in range(len(columns.words)):
                if not _join(prefix, other, members):
                    continue
                support = both(rows, column(columns, aims, ALL, other))
                joint = both(side, column(columns, aims, concept, other))
                if aims.others[concept]:
                    joint = support - joint
                kept.visited[concept] += 1
                value = worth(columns, aims, concept, joint, support)
                _offer_one(longer, concept, value, members)
                if value >= kept.bar[concept] and gains(
                    columns, aims, concept, members, value, buffers
                ):
                    _offer_one(kept, concept, value, members)


_compiled_widen: Any = numba.njit(nogil=True, cache=True)(_widen)


def widen(columns: Columns, aims: Aims, kept: Kept, leads: Kept, longer: Kept, size: int) -> None:
    """Try each of the leads with each further filter.

    Args:
        columns: The filters.
        aims: The concepts.
        kept: The best ones are written into it.
        leads: Sets of `size` - 1 filters.
        longer: The best sets of `size` filters, whether or not they beat their subsets, are written
            into it.
        size: Filters in a set, at least 3.
    """
    _compiled_widen(columns, aims, kept, leads, longer, size)
