"""Exact test for concepts that all images of a class share: the concept is dealt to other classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from math import comb

import numpy as np

from pathlens.analysis.associating.search import Found
from pathlens.analysis.associating.trial import Half, all_on, members_of
from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.analysis.statistics import phi

PERMUTATION = "permuted over classes"
MOST_LABELLINGS = 1000
"""So many ways to choose classes are tried, the concept's own among them; all where there are fewer."""

_AT_ONCE = 64


@dataclass(frozen=True)
class ClassHalves:
    """The gates of a layer on images of known class.

    Attributes:
        discovery: bool (images, filters).
        confirmation: bool (images, filters).
        discovery_labels: int64 (images,), from 0 to classes - 1.
        confirmation_labels: int64 (images,).
        classes: Number of classes.
    """

    discovery: Bits = field(repr=False)
    confirmation: Bits = field(repr=False)
    discovery_labels: Ints = field(repr=False)
    confirmation_labels: Ints = field(repr=False)
    classes: int


def labellings(own: Bits, rng: np.random.Generator) -> Bits:
    """Ways to choose as many classes as a concept has: bool (ways, classes), its own among them.

    All of them if there are at most `MOST_LABELLINGS`, else its own and others drawn by chance.

    Args:
        own: bool (classes,), the classes that have the concept.
        rng: Source of chance.
    """
    classes, chosen = len(own), int(own.sum())
    if comb(classes, chosen) <= MOST_LABELLINGS:
        ways = np.zeros((comb(classes, chosen), classes), dtype=np.bool_)
        for row, members in enumerate(combinations(range(classes), chosen)):
            ways[row, list(members)] = True
        return ways
    drawn = rng.permuted(np.tile(own, (MOST_LABELLINGS - 1, 1)), axis=1)
    return np.concatenate([own[None, :], drawn])


def smallest_p(own: Bits) -> float:
    """The smallest p that the test can give for a concept of these classes."""
    return 1 / min(comb(len(own), int(own.sum())), MOST_LABELLINGS)


def class_permutation_test(
    halves: ClassHalves,
    own: Bits,
    candidates: list[Ints],
    search: Callable[[Bits, Bits], Found],
    rng: np.random.Generator,
) -> Floats:
    """P of candidates for a concept that is a set of classes: float64 (candidates,).

    A concept that is constant within classes has as many samples as there are classes, and both
    halves hold the same classes: what the search fitted to their chance differences on discovery
    images comes back on confirmation images. So for every labelling of as many classes the search is
    done again, and p is the share of labellings whose best candidate does as well on confirmation
    images as the candidate in question (Westfall & Young 1993, section 2.3: the largest of all).

    Args:
        halves: The layer.
        own: bool (classes,), the classes that have the concept.
        candidates: Filters of each candidate.
        search: From bits and concepts on discovery images to the candidates, as for the concept.
        rng: Source of chance, where labellings are drawn.
    """
    ways = labellings(own, rng)
    best = np.concatenate(
        [
            _best_of_each(halves, ways[start : start + _AT_ONCE], search)
            for start in range(0, len(ways), _AT_ONCE)
        ]
    )
    has = own[halves.confirmation_labels]
    reached = np.array([_phi(all_on(halves.confirmation, one), has) for one in candidates])
    # A hair of slack, so that equal counts in another order of sums stay equal.
    return np.asarray((best[None, :] >= reached[:, None] - 1e-12).mean(axis=1))


def _best_of_each(halves: ClassHalves, ways: Bits, search: Callable[[Bits, Bits], Found]) -> Floats:
    """The best phi on confirmation images among what is found for each labelling."""
    half = Half(halves.confirmation, ways[:, halves.confirmation_labels].T)
    found = search(halves.discovery, ways[:, halves.discovery_labels].T)
    best = np.full(len(ways), -np.inf)
    for row, concept in enumerate(found.concept):
        value = _phi(all_on(half.bits, members_of(found, row)), half.concepts[:, concept])
        best[concept] = max(best[concept], value)
    return best


def _phi(on: Bits, has: Bits) -> float:
    return float(phi((on & has).sum(), on.sum(), has.sum(), len(on)))
