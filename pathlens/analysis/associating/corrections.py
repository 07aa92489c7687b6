"""Correcting p values for their number, without those that could never be significant."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pathlens.analysis.source import Bits, Floats
from pathlens.analysis.statistics import benjamini_hochberg, benjamini_yekutieli, holm

CORRECTIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "holm": holm,
    "bh": benjamini_hochberg,
    "by": benjamini_yekutieli,
}
"""Holm: chance of any false claim. Benjamini-Hochberg and -Yekutieli: mean share of false ones."""
CORRECTION_NAMES = {
    "holm": "Holm",
    "bh": "Benjamini-Hochberg",
    "by": "Benjamini-Yekutieli",
}


def can_be_significant(smallest: Floats, level: float) -> Bits:
    """Which tests can reach significance among all of them: bool (tests,).

    K is the smallest number such that at most K tests can have a p as small as level / K; the others
    can never be claimed and need not be paid for (Tarone 1990; Gilbert 2005 for false shares). As the
    smallest attainable p depends on margins alone, the choice does not look at the outcome.

    Args:
        smallest: float64 (tests,), smallest p that each test can give.
        level: Level of the whole family.
    """
    ordered = np.sort(smallest)
    counts = np.arange(1, len(ordered) + 1)
    within = np.searchsorted(ordered, level / counts, side="right") <= counts
    if not len(ordered):
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(smallest <= level / counts[int(np.argmax(within))])


def corrected(p: Floats, family: Bits, correction: str) -> Floats:
    """P values corrected within a family; NaN for tests outside it: float64 (tests,).

    Args:
        p: float64 (tests,), not NaN within the family.
        family: bool (tests,).
        correction: A key of `CORRECTIONS`.
    """
    found = np.full(len(p), np.nan)
    found[family] = CORRECTIONS[correction](p[family])
    return found
