"""The compiled walk through combinations of three and more filters; importing it imports numba.

A branch holds all combinations with the same lowest filter. Its prefixes are walked in lexicographic
order, and each is tried with every filter behind its last. The support of a set is counted once for
all concepts; its joint images are counted for a concept only if they could be enough, as they are at
most those of its rarest pair, which are known. Prefixes below which no set can reach the bar
(`qualities.base`) are left.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from pathlens.analysis.associating.bit_counts import both, paired
from pathlens.analysis.associating.kernel import (
    ALL,
    Aims,
    Columns,
    Desk,
    Kept,
    column,
    conjoined,
    counted,
    gains,
    insert,
    worth,
)

# What is compared in single precision stays by so much on the safe side.
_SLACK = 1 - 1e-5


def _hopeful(columns: Any, aims: Any, kept: Any, joint: Any, hopeful: Any) -> Any:
    """Whether any superset of a set with so many joint images can reach the bar; how many can.

    `joint` is int32, a number for each concept, and `hopeful` bool of the same length.
    """
    spread, centre, scale = columns.spread, aims.centre, aims.scale
    bar, floor, images, least = kept.bar, kept.floor, columns.images, columns.least
    number = 0
    for concept in range(len(hopeful)):
        corner = max(joint[concept], least)
        above = images * np.float64(joint[concept]) - centre[concept] * corner
        value = above / (spread[corner] * scale[concept])
        hopeful[concept] = value >= bar[concept] and value > floor[concept]
        number += hopeful[concept]
    return number


_mark_hopeful: Any = numba.njit(nogil=True, cache=True, error_model="numpy")(_hopeful)


def _joints(columns: Any, aims: Any, prefix: Any, alive: Any, desk: Any) -> None:
    """Joint images of a prefix, for the concepts that were alive before its last filter."""
    if len(prefix) == 2:
        desk.cap[:] = aims.joint[prefix[0], prefix[1]]
        return
    for concept in range(len(alive)):
        if alive[concept]:
            joint, _ = counted(columns, aims, concept, prefix, desk.buffers)
            desk.cap[concept] = joint


_count_joints: Any = numba.njit(nogil=True, cache=True)(_joints)


def _prepare(columns: Any, aims: Any, kept: Any, prefix: Any, alive: Any, desk: Any) -> Any:
    """Make a prefix ready for further filters; whether any concept is still alive.

    `alive` is bool (lengths, concepts): the row before the prefix's own is read, its own is written.
    """
    before, after = alive[len(prefix) - 1], alive[len(prefix)]
    _count_joints(columns, aims, prefix, before, desk)
    number = _mark_hopeful(columns, aims, kept, desk.cap, after)
    if number == 0:
        return False
    any_alive = False
    for concept in range(len(after)):
        after[concept] &= before[concept]
        any_alive |= after[concept]
        desk.ready[concept] = False
        desk.slope[concept] = aims.centre[concept] / columns.images * _SLACK
        height = kept.bar[concept] * aims.scale[concept] / columns.images * _SLACK
        desk.height[concept] = height if after[concept] else np.inf
    return any_alive


_prepare_prefix: Any = numba.njit(nogil=True, cache=True)(_prepare)


def _cap(caps: Any, joint: Any, limits: Any) -> None:
    for lane in range(len(limits)):
        limits[lane] = min(caps[lane], joint[lane])


_cap_by: Any = numba.njit(nogil=True, cache=True, forceinline=True)(_cap)


def _mark(limits: Any, joint: Any, slope: Any, height: Any, weights: Any, marks: Any) -> Any:
    """Mark the concepts for which joint images could be enough, free of branches; whether any.

    `weights` are support and spread of the set.
    """
    found = np.uint8(0)
    for lane in range(len(marks)):
        need = weights[0] * slope[lane] + weights[1] * height[lane]
        mark = np.uint8(np.float32(min(limits[lane], joint[lane])) >= need)
        marks[lane] = mark
        found |= mark
    return found


_mark_within_reach: Any = numba.njit(nogil=True, cache=True, forceinline=True)(_mark)


def _weigh(
    columns: Any, aims: Any, kept: Any, concept: Any, members: Any, support: Any, desk: Any
) -> None:
    """Count the joint images of one set for one concept, and keep it if it is good."""
    side = desk.sides[concept, : aims.width[concept]]
    if not desk.ready[concept]:
        conjoined(columns, aims, concept, members[:-1], side)
        desk.ready[concept] = True
    joint = both(side, column(columns, aims, concept, members[-1]))
    if aims.others[concept]:
        joint = support - joint
    kept.visited[concept] += 1
    value = worth(columns, aims, concept, joint, support)
    if value < kept.bar[concept] or value <= kept.floor[concept]:
        return
    if gains(columns, aims, concept, members, value, desk.buffers):
        insert(kept, concept, value, members)


_weigh_one: Any = numba.njit(nogil=True, cache=True, forceinline=True)(_weigh)


def _extend(columns: Any, aims: Any, kept: Any, members: Any, triples: Any, desk: Any) -> None:
    """Try a prefix with each filter behind it; the last member is overwritten.

    `triples` are the supports of the prefix's branch, of use for a pair.
    """
    prefix, begin = members[:-1], members[-2] + 1
    rows = desk.buffers[2]
    if len(prefix) > 2:
        conjoined(columns, aims, ALL, prefix, rows)
    for further in range(begin, len(columns.words)):
        if len(prefix) > 2:
            support = np.int32(both(rows, columns.words[further]))
        else:
            support = triples[prefix[1] - prefix[0] - 1, further - prefix[0] - 1]
        members[-1] = further
        _cap_by(desk.cap, aims.joint[prefix[0], further], desk.limits)
        for member in prefix[1:-1]:
            _cap_by(desk.limits, aims.joint[member, further], desk.limits)
        joint = aims.joint[prefix[-1], further]
        weights = np.float32(support), np.float32(columns.spread[support])
        if not _mark_within_reach(desk.limits, joint, desk.slope, desk.height, weights, desk.marks):
            continue
        for concept in range(len(kept.bar)):
            if desk.marks[concept]:
                _weigh_one(columns, aims, kept, concept, members, support, desk)


_extend_prefix: Any = numba.njit(nogil=True, cache=True)(_extend)


def _triples(columns: Any, aims: Any, kept: Any, first: Any) -> Any:
    """Support of the triples of a branch: int32 (later filters, later filters), upper triangle.

    Rows of pairs that no concept can gain by stay 0.
    """
    later = len(columns.words) - first - 1
    rows = np.empty((later, columns.words.shape[1]), np.uint64)
    wanted, hopeful = np.zeros(later, np.bool_), np.empty(len(kept.bar), np.bool_)
    for row in range(later):
        rows[row] = columns.words[first] & columns.words[first + 1 + row]
        joint = aims.joint[first, first + 1 + row]
        wanted[row] = _mark_hopeful(columns, aims, kept, joint, hopeful) > 0
    counts = np.zeros((later, later), np.int32)
    paired(rows, wanted, counts)
    return counts


_count_triples: Any = numba.njit(nogil=True, cache=True)(_triples)


def _walk(columns: Any, aims: Any, kept: Any, first: Any, size: Any) -> None:
    filters, concepts, lanes = len(columns.words), len(kept.bar), aims.joint.shape[2]
    desk = Desk(
        np.zeros(lanes, np.int32),
        np.empty(lanes, np.int32),
        np.zeros(lanes, np.float32),
        np.full(lanes, np.inf, np.float32),
        np.empty(lanes, np.uint8),
        np.empty(concepts, np.bool_),
        np.empty((concepts, np.max(aims.width)), np.uint64),
        np.empty((3, columns.words.shape[1]), np.uint64),
    )
    triples = _count_triples(columns, aims, kept, first)
    members = np.full(size, first, np.int32)
    # By length of the prefix: the concepts that are still alive, and the filter to go on with.
    alive = np.ones((size, concepts), np.bool_)
    following = np.full(size, first + 1)
    length = 1
    while length > 0:
        # The last filter has none behind it.
        if following[length] >= filters - 1:
            length -= 1
            continue
        members[length] = following[length]
        following[length] += 1
        longer = length + 1
        if not _prepare_prefix(columns, aims, kept, members[:longer], alive, desk):
            continue
        _extend_prefix(columns, aims, kept, members[: longer + 1], triples, desk)
        if longer + 1 < size:
            following[longer] = members[length] + 1
            length = longer


_compiled_walk: Any = numba.njit(nogil=True, cache=True)(_walk)


def search_branch(columns: Columns, aims: Aims, kept: Kept, first: int, size: int) -> None:
    """Find the best combinations of 3 to `size` filters whose lowest one is `first`.

    Runs without the interpreter's lock, so that threads can share the branches.

    Args:
        columns: The filters.
        aims: The concepts.
        kept: What has to be beaten; what is found is written into it.
        first: A filter.
        size: Filters in a combination, at most; at least 3.
    """
    _compiled_walk(columns, aims, kept, first, size)
