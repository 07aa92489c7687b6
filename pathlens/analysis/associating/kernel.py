"""What the compiled search counts, compares and keeps; importing it imports numba.

What numba keeps on disk it compiles again when the file of the calling function changes, not when this
one does: touch `branches.py` and `beam.py` after an edit here or in `bit_counts.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from pathlens.analysis.associating.bit_counts import both
from pathlens.analysis.associating.packed import NO_FILTER

ALL = -1
"""In place of a concept: all images."""


class Columns(NamedTuple):
    """The filters of a layer.

    Attributes:
        words: uint64 (filters, words), packed images.
        support: int32 (filters, filters), images for which both are on; upper triangle.
        spread: float64 (images + 1,), `Quality.spread` of each support; infinite where too few.
        least: Images that a combination has to be on for, at least 1.
        images: Their number.
    """

    words: Any
    support: Any
    spread: Any
    least: int
    images: int


class Aims(NamedTuple):
    """The concepts, each with the filters packed over its images or, if fewer, over all others.

    Attributes:
        words: uint64, all packed columns in a row.
        start: int64 (concepts,), where the columns of a concept begin.
        width: int64 (concepts,), words of a column.
        others: bool (concepts,), whether columns hold the images without the concept.
        joint: int32 (filters, filters, lanes), images of both filters and concept; upper triangle.
            Concepts lie side by side and are filled up with zeros to a multiple of 16.
        centre: float64 (concepts,), `positives` for a centred quality, else 0.
        scale: float64 (concepts,), `Quality.scale`; infinite for 0.
    """

    words: Any
    start: Any
    width: Any
    others: Any
    joint: Any
    centre: Any
    scale: Any


class Kept(NamedTuple):
    """The best combinations of each concept so far, best first.

    Attributes:
        value: float64 (concepts, top), minus infinity where there is none.
        members: int32 (concepts, top, size), rising, -1 behind the last.
        floor: float64 (concepts,), what a value has to be above.
        bar: float64 (concepts,), what a value has to reach.
        visited: int64 (concepts,), combinations whose joint images were counted.
    """

    value: Any
    members: Any
    floor: Any
    bar: Any
    visited: Any


class Desk(NamedTuple):
    """Room for the numbers of one prefix; lanes are the concepts and what fills up `Aims.joint`.

    Attributes:
        cap: int32 (lanes,), joint images of the prefix.
        limits: int32 (lanes,), joint images that it can have with a further filter.
        slope: float32 (lanes,), joint images needed for each image of support.
        height: float32 (lanes,), joint images needed for each unit of spread.
        marks: uint8 (lanes,), whether they can be enough.
        ready: bool (concepts,), whether `sides` are there.
        sides: uint64 (concepts, words), images of the prefix as `column` packs them.
        buffers: uint64 (3, words), two for counting any set and one for the prefix.
    """

    cap: Any
    limits: Any
    slope: Any
    height: Any
    marks: Any
    ready: Any
    sides: Any
    buffers: Any


def _column(columns: Any, aims: Any, concept: Any, filter_: Any) -> Any:
    """A packed column: over all images for `ALL`, else over the side of a concept."""
    if concept == ALL:
        return columns.words[filter_]
    begin = aims.start[concept] + filter_ * aims.width[concept]
    return aims.words[begin : begin + aims.width[concept]]


column: Any = numba.njit(nogil=True, cache=True, forceinline=True)(_column)


def _worth(columns: Any, aims: Any, concept: Any, joint: Any, support: Any) -> Any:
    """`qualities.base.value` of one combination."""
    above = columns.images * np.float64(joint) - aims.centre[concept] * support
    return above / (columns.spread[support] * aims.scale[concept])


worth: Any = numba.njit(nogil=True, cache=True, forceinline=True)(_worth)


def _precedes(members: Any, others: Any) -> Any:
    """Whether a set comes before a kept one of equal value: fewer filters first, then lower ones."""
    size = np.sum(others != NO_FILTER)
    if len(members) != size:
        return len(members) < size
    for place in range(size):
        if members[place] != others[place]:
            return members[place] < others[place]
    return False


_comes_first: Any = numba.njit(nogil=True, cache=True)(_precedes)


def _equal(members: Any, others: Any) -> Any:
    """Whether a set is a kept one."""
    return len(members) == np.sum(others != NO_FILTER) and np.all(members == others[: len(members)])


_are_same: Any = numba.njit(nogil=True, cache=True)(_equal)


def _insert(kept: Any, concept: Any, value: Any, members: Any) -> None:
    """Keep a set that is not kept yet if it is better than the worst kept one, and raise the bar."""
    values, sets = kept.value[concept], kept.members[concept]
    place = len(values)
    while place > 0 and (
        values[place - 1] < value
        or (values[place - 1] == value and _comes_first(members, sets[place - 1]))
    ):
        place -= 1
    if place == len(values) or (
        place > 0 and values[place - 1] == value and _are_same(members, sets[place - 1])
    ):
        return
    for later in range(len(values) - 1, place, -1):
        values[later] = values[later - 1]
        sets[later] = sets[later - 1]
    values[place] = value
    sets[place] = NO_FILTER
    sets[place, : len(members)] = members
    kept.bar[concept] = max(kept.bar[concept], values[-1])


insert: Any = numba.njit(nogil=True, cache=True)(_insert)


def _conjoin(columns: Any, aims: Any, concept: Any, members: Any, buffer: Any) -> Any:
    """Images for which all members are on, as `column` packs them; written into `buffer`."""
    first = column(columns, aims, concept, members[0])
    rows = buffer[: len(first)]
    rows[:] = first
    for member in members[1:]:
        other = column(columns, aims, concept, member)
        for word in range(len(rows)):
            rows[word] &= other[word]
    return rows


conjoined: Any = numba.njit(nogil=True, cache=True, forceinline=True)(_conjoin)


def _count(columns: Any, aims: Any, concept: Any, members: Any, buffers: Any) -> Any:
    """Joint images and support of any set, by the first two buffers."""
    last = members[-1]
    if len(members) <= 2:
        return aims.joint[members[0], last, concept], columns.support[members[0], last]
    rows = conjoined(columns, aims, ALL, members[:-1], buffers[0])
    support = np.int32(both(rows, column(columns, aims, ALL, last)))
    rows = conjoined(columns, aims, concept, members[:-1], buffers[1])
    joint = np.int32(both(rows, column(columns, aims, concept, last)))
    return (support - joint if aims.others[concept] else joint), support


counted: Any = numba.njit(nogil=True, cache=True)(_count)


def _gains(columns: Any, aims: Any, concept: Any, members: Any, value: Any, buffers: Any) -> Any:
    """Whether a set is better than each of its proper subsets; the largest, which may tie, first."""
    part = np.empty(len(members), np.int32)
    for chosen in range(2 ** len(members) - 2, 0, -1):
        size = 0
        for place in range(len(members)):
            if chosen >> place & 1:
                part[size] = members[place]
                size += 1
        joint, support = counted(columns, aims, concept, part[:size], buffers)
        if worth(columns, aims, concept, joint, support) >= value:
            return False
    return True


gains: Any = numba.njit(nogil=True, cache=True)(_gains)
