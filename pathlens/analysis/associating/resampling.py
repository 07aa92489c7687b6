"""Bootstrap of counts: over images, or over whole groups of images where they belong together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from pathlens.analysis.source import Bits, Floats, Ints

FEW_GROUPS = 20
"""Below so many groups a bootstrap over them is narrower than it should be."""


@dataclass(frozen=True)
class Resampling:
    """How bootstrap samples of some images are drawn.

    Attributes:
        groups: int64 (images,), group of each image, 0 to the number of groups - 1; None where every
            image stands alone.
        resamples: Number of bootstrap samples; 0 for none.
    """

    groups: Ints | None
    resamples: int

    @property
    def count(self) -> int:
        """Number of groups; 0 where every image stands alone."""
        return 0 if self.groups is None else int(self.groups.max(initial=-1)) + 1

    def cells(self, *properties: Bits) -> Ints:
        """Images by which of some properties they have: int64 (groups or 1, 2 ** properties).

        The first property is the highest binary digit of the cell's number.
        """
        code = np.zeros(len(properties[0]), dtype=np.int64)
        for one in properties:
            code = 2 * code + one
        width = 2 ** len(properties)
        if self.groups is None:
            return np.bincount(code, minlength=width)[None, :]
        return np.bincount(self.groups * width + code, minlength=self.count * width).reshape(
            -1, width
        )

    def drawn(self, cells: Ints, rng: np.random.Generator) -> Ints:
        """Cell counts of bootstrap samples: int64 (resamples, cells).

        Images are drawn alone (which is drawing the cells from a multinomial distribution), or whole
        groups (the cluster bootstrap of Davison & Hinkley 1997, section 3.8).

        Args:
            cells: int64 (groups or 1, cells), as `cells` gives them.
            rng: Source of chance.
        """
        if self.groups is None:
            images = int(cells.sum())
            return rng.multinomial(images, cells[0] / max(images, 1), size=self.resamples)
        groups = len(cells)
        times = rng.multinomial(groups, np.full(groups, 1 / groups), size=self.resamples)
        return np.asarray(times @ cells)


def interval(values: Floats) -> tuple[float, float]:
    """95 % percentile interval of a figure, without samples in which it is not defined.

    Args:
        values: float64 (resamples,); empty or all undefined gives NaN twice.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # infinities of a lift without support
        low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
