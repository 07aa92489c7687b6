"""When values are read for the last time, and what may be overwritten then."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pathlens.skipping.steps.addition import Addition
from pathlens.skipping.steps.base import Step


def lifetimes(
    steps: Sequence[Step], inputs: Sequence[int], outputs: Sequence[int]
) -> list[tuple[int, ...]]:
    """For each step, the slots that nobody reads after it.

    Additions whose stream is read by nothing later, under any name, are told to work in place.
    """
    last: dict[int, int] = {}
    for number, step in enumerate(steps):
        for slot in step.reads:
            last[slot] = number
        for slot in step.writes:
            last.setdefault(slot, number)
    roots = _roots(steps)
    final = _last_of_roots(roots, last, {*inputs, *outputs})
    for number, step in enumerate(steps):
        if isinstance(step, Addition):
            step.in_place = final[roots.get(step.stream, step.stream)] == number
    kept = set(outputs)
    return [
        tuple(s for s in {*step.reads, *step.writes} if last[s] == number and s not in kept)
        for number, step in enumerate(steps)
    ]


def _roots(steps: Sequence[Step]) -> dict[int, int]:
    """For each slot, the first slot whose memory it may lie in."""
    roots: dict[int, int] = {}
    for step in steps:
        for slot in step.writes:
            shares = step.shares and step.reads
            roots[slot] = roots.get(step.reads[0], step.reads[0]) if shares else slot
    return roots


def _last_of_roots(
    roots: dict[int, int], last: dict[int, int], lasting: set[int]
) -> dict[int, float]:
    """The last step that reads any value in the same memory, by the first of these values."""
    final: dict[int, float] = {}
    for slot in {*last, *lasting}:
        root = roots.get(slot, slot)
        end = math.inf if slot in lasting else last[slot]
        final[root] = max(final.get(root, -1), end)
    return final
