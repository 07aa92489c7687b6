"""One layer, the concepts, and the combinations found: what every test looks at."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pathlens.analysis.associating.search import NO_FILTER, Found
from pathlens.analysis.source import Bits, Ints


@dataclass(frozen=True)
class Half:
    """Discovery or confirmation images of which the concepts are known.

    Attributes:
        bits: bool (images, filters), gates of the layer.
        concepts: bool (images, concepts).
    """

    bits: Bits = field(repr=False)
    concepts: Bits = field(repr=False)


@dataclass(frozen=True)
class Trial:
    """Candidates of one layer and the two halves of the images.

    Attributes:
        discovery: The images that were searched.
        confirmation: The images that were not.
        found: The candidates, a row a combination and concept.
    """

    discovery: Half
    confirmation: Half
    found: Found

    def __len__(self) -> int:
        return len(self.found)

    def members(self, row: int) -> Ints:
        """Filters of a candidate in rising order."""
        return members_of(self.found, row)

    def on(self, row: int) -> Bits:
        """Confirmation images for which all filters of a candidate are on: bool (images,)."""
        return all_on(self.confirmation.bits, self.members(row))

    def has(self, row: int) -> Bits:
        """Confirmation images that have the concept of a candidate: bool (images,)."""
        return self.confirmation.concepts[:, self.found.concept[row]]


def members_of(found: Found, row: int) -> Ints:
    """Filters of a row of what was found, in rising order."""
    members = found.members[row]
    return np.asarray(members[members != NO_FILTER])


def all_on(bits: Bits, members: Ints) -> Bits:
    """Images for which all these filters are on: bool (images,)."""
    on = bits[:, members[0]].copy()
    for member in members[1:]:
        on &= bits[:, member]
    return on
