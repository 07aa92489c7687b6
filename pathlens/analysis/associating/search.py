"""The search for combinations that go with a concept, on discovery images only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathlens.analysis.source import Bits, Floats, Ints, dynamic_columns
from pathlens.analysis.statistics import phi

NO_FILTER = -1
_CHUNK = 65_536


@dataclass(frozen=True)
class Found:
    """The best combinations of a layer, a row a combination and concept.

    Attributes:
        concept: int64 (found,), position of the concept.
        members: int64 (found, 2), filters in rising order; -1 in the second place of a single one.
        phi: float64 (found,), phi on the discovery images.
        best_single: int64 (found,), the layer's best single filter for that concept.
        filters: Number of filters searched (the dynamic ones).
        candidates: Number of combinations times concepts that were tried.
    """

    concept: Ints
    members: Ints
    phi: Floats
    best_single: Ints
    filters: int
    candidates: int

    def __len__(self) -> int:
        return len(self.concept)


def search_layer(bits: Bits, concepts: Bits, *, max_size: int, top: int) -> Found:
    """Find for every concept the `top` combinations with the highest phi.

    All dynamic filters and, with `max_size` 2, all pairs of them (on together) are tried. Only
    positive phi counts, and a pair counts only if its phi beats that of its better member. Ties go to
    fewer, then to lower filters.

    Args:
        bits: bool (images, filters), gates of the layer on the discovery images.
        concepts: bool (images, concepts).
        max_size: 1 or 2.
        top: Combinations a concept, at most.
    """
    filters = np.flatnonzero(dynamic_columns(bits))
    on = bits[:, filters]
    pairs = len(filters) * (len(filters) - 1) // 2 if max_size > 1 else 0
    together = _together(on)
    support = np.diagonal(together)
    rows: list[tuple[int, int, int, float, int]] = []
    for concept, has in enumerate(concepts.T):
        joint = _together(on[has])
        scores = phi(joint, together, int(has.sum()), len(on))
        single = phi(np.diagonal(joint), support, int(has.sum()), len(on))
        best = _best(single, scores if pairs else None, top)
        if best:
            winner = filters[int(np.argmax(single))]
            rows += [(concept, i, j, value, int(winner)) for i, j, value in best]
    return _found(rows, filters, len(concepts.T) * (len(filters) + pairs))


def _together(on: Bits) -> Ints:
    """Images for which two filters are both on, for all pairs: int64 (filters, filters).

    A matrix product in float32, exact below 2^24 images, so that it goes by chunks of images.
    """
    total = np.zeros((on.shape[1], on.shape[1]), dtype=np.int64)
    for start in range(0, len(on), _CHUNK):
        part = on[start : start + _CHUNK].astype(np.float32)
        total += (part.T @ part).astype(np.int64)
    return total


def _best(single: Floats, pairs: Floats | None, top: int) -> list[tuple[int, int, float]]:
    """The best single columns and pairs of columns together: (first, second or -1, phi)."""
    chosen = [(int(i), NO_FILTER, float(single[i])) for i in _highest(single, top)]
    if pairs is not None:
        better = np.maximum(single[:, None], single[None, :])
        gaining = np.triu(pairs > better, 1)
        scores = np.where(gaining, pairs, -np.inf).reshape(-1)
        places = [divmod(int(k), len(single)) for k in _highest(scores, top)]
        chosen += [(i, j, float(pairs[i, j])) for i, j in places]
    chosen.sort(key=lambda one: (-one[2], one[1] != NO_FILTER, one[0], one[1]))
    return chosen[:top]


def _highest(scores: Floats, top: int) -> Ints:
    """Positions of the `top` highest positive scores, in falling order; ties by position."""
    positive = np.flatnonzero(scores > 0)
    if len(positive) > top:
        # Everything that ties with the last one stays, so that ties do not depend on partition.
        bar = np.partition(scores[positive], -top)[-top]
        positive = positive[scores[positive] >= bar]
    order = np.argsort(-scores[positive], kind="stable")
    return positive[order][:top]


def _found(rows: list[tuple[int, int, int, float, int]], filters: Ints, candidates: int) -> Found:
    concept, first, second, value, winner = (
        np.array(column) for column in (zip(*rows, strict=True) if rows else [[]] * 5)
    )
    numbers = np.append(filters, NO_FILTER)
    members = np.stack([numbers[first.astype(int)], numbers[second.astype(int)]], axis=1)
    return Found(
        concept=concept.astype(np.int64),
        members=members.astype(np.int64),
        phi=value.astype(np.float64),
        best_single=winner.astype(np.int64),
        filters=len(filters),
        candidates=candidates,
    )
