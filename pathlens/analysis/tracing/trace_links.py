"""Links of a trace: filters of neighbouring layers that are on together within a class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pathlens.analysis.source import Bits, Ints
from pathlens.analysis.statistics import fisher_greater, phi

LINK_COLUMNS = (
    "layer",
    "filter",
    "next_layer",
    "next_filter",
    "images",
    "together",
    "expected",
    "lift",
    "phi",
    "p",
)


@dataclass(frozen=True)
class Stage:
    """The chosen filters of one layer for the images of a class.

    Attributes:
        layer: Number of the layer.
        filters: int64 (filters,), numbers of the chosen filters.
        bits: bool (images of the class, filters), their gates.
    """

    layer: int
    filters: Ints
    bits: Bits


def co_activation(before: Stage, after: Stage) -> pd.DataFrame:
    """How often filters of two layers are on together, beside what independence would give.

    All images are of one class, so that the class itself is no reason for two filters to go
    together. A filter that is on for the whole class goes with none: phi is 0 and p is 1.

    Args:
        before: The earlier layer.
        after: The later layer, for the same images.

    Returns:
        A row a pair of filters, columns `LINK_COLUMNS`: images of the class; together (images with
        both on); expected (images with both on if the two were independent); lift (together over
        expected, not a number where 0 are expected); phi; p (one-sided Fisher exact test).
    """
    images = len(before.bits)
    together = before.bits.T.astype(np.float64) @ after.bits.astype(np.float64)
    left = np.repeat(before.bits.sum(axis=0), len(after.filters))
    right = np.tile(after.bits.sum(axis=0), len(before.filters))
    both = together.reshape(-1).astype(np.int64)
    expected = left * right / max(images, 1)
    return pd.DataFrame(
        {
            "layer": before.layer,
            "filter": np.repeat(before.filters, len(after.filters)),
            "next_layer": after.layer,
            "next_filter": np.tile(after.filters, len(before.filters)),
            "images": images,
            "together": both,
            "expected": expected,
            "lift": np.where(expected > 0, both / np.where(expected > 0, expected, 1), np.nan),
            "phi": phi(both, left, right, images),
            "p": fisher_greater(both, left, right, images),
        },
        columns=list(LINK_COLUMNS),
    )
