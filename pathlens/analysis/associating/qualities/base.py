"""What every quality of a combination offers, and why its bounds hold."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from pathlens.analysis.source import Floats


class Quality(Protocol):
    """How well a combination goes with a concept; a frozen dataclass and a line in the registry.

    With n images, a concept that `positives` of them have, and a combination that is on for `support`
    images, `both` of which have the concept,

        value = (n * both - centre * support) / (spread(support) * scale)

    where centre is `positives` if the quality is `centred` and else 0, so that a search needs one
    multiplication and one addition to know how many joint images a combination would have to have.

    The search rests on three properties, which the tests check count by count:

    1. At equal support the value grows with `both`: it is linear in it.
    2. At equal `both` the value falls as support grows, wherever it is above `floor`.
    3. With support as small as it can be, max(both, least support), it never falls as `both` grows.

    A set with more filters loses images and gains none. So all its supersets have at most its `both`,
    and by 2 and 3 none of them is better than the set would be if it lost every image without the
    concept and none with it: the value at the corner (both, max(both, least support)). For convex
    qualities this is the bound of Morishita & Sese (2000) at its better end; Grosskreutz, Rüping &
    Wrobel (2008) give it for weighted relative accuracy.
    """

    @property
    def name(self) -> str:
        """As `search_layer` takes it."""
        ...

    @property
    def centred(self) -> bool:
        """Whether joint images are counted above what independence expects."""
        ...

    @property
    def floor(self) -> float:
        """The value under independence; only what is above it is found. Not negative."""
        ...

    def least_support(self, images: int) -> int:
        """Images that a combination is on for, at least, unless the caller says otherwise."""
        ...

    def spread(self, support: Floats, images: int) -> Floats:
        """The part of the denominator that depends on the combination, not negative."""
        ...

    def scale(self, positives: Floats, images: int) -> Floats:
        """The part of the denominator that depends on the concept, not negative."""
        ...


def value(quality: Quality, both: Any, support: Any, positives: Any, images: int) -> Floats:
    """Quality of combinations; 0 where the denominator is. All counts broadcast.

    Args:
        quality: The quality.
        both: Images of the combination that have the concept.
        support: Images for which all filters of the combination are on.
        positives: Images that have the concept.
        images: All images.
    """
    both, support, positives = (np.asarray(x, np.float64) for x in (both, support, positives))
    below = quality.spread(support, images) * quality.scale(positives, images)
    above = images * both - (positives * support if quality.centred else 0.0)
    return np.asarray(above / np.where(below > 0, below, np.inf))
