"""What the confirmation images say about combinations that were found without them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pathlens.analysis.associating.search import NO_FILTER, Found
from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.analysis.statistics import fisher_greater, percentile_interval, phi, resampled_cells


def confirm(
    bits: Bits, concepts: Bits, found: Found, *, resamples: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Exact test, effect sizes and bootstrap intervals, a row a combination and concept.

    Args:
        bits: bool (images, filters), gates of the layer on the confirmation images.
        concepts: bool (images, concepts), the same concepts that were searched.
        found: What the search found.
        resamples: Bootstrap samples; 0 for no intervals.
        rng: Source of chance of the bootstrap.

    Returns:
        Columns n, support, lift, phi, precision, recall, f1, phi_ci_low, phi_ci_high, p,
        gain_over_best_single, gain_ci_low, gain_ci_high.
    """
    pair = found.members[:, 1] != NO_FILTER
    cells = _cells(
        bits[:, found.members[:, 0]] & (bits[:, found.members[:, 1]] | ~pair),
        bits[:, found.best_single],
        concepts[:, found.concept],
    )
    table = _effects(cells)
    low, high, gain_low, gain_high = _intervals(cells, resamples, rng)
    gain = _gain(cells)
    table["phi_ci_low"], table["phi_ci_high"] = low, high
    # A single filter gains nothing by being combined.
    table["gain_over_best_single"] = np.where(pair, gain, np.nan)
    table["gain_ci_low"] = np.where(pair, gain_low, np.nan)
    table["gain_ci_high"] = np.where(pair, gain_high, np.nan)
    return table


def _cells(combination: Bits, single: Bits, concept: Bits) -> Ints:
    """Images by (combination, best single filter, concept): int64 (tests, 8), binary order."""
    code = 4 * combination.astype(np.int8) + 2 * single.astype(np.int8) + concept.astype(np.int8)
    return np.stack([(code == cell).sum(axis=0, dtype=np.int64) for cell in range(8)], axis=1)


# Which of the eight cells belong to the images that have each property.
_COMBINATION = np.array([0, 0, 0, 0, 1, 1, 1, 1])
_SINGLE = np.array([0, 0, 1, 1, 0, 0, 1, 1])
_CONCEPT = np.array([0, 1, 0, 1, 0, 1, 0, 1])


def _phi_of(cells: Ints, property_: Ints) -> Floats:
    """Phi of a property with the concept, from cell counts (..., 8)."""
    return phi(
        cells @ (property_ * _CONCEPT), cells @ property_, cells @ _CONCEPT, cells.sum(axis=-1)
    )


def _gain(cells: Ints) -> Floats:
    """Phi of the combination less phi of the layer's best single filter."""
    return _phi_of(cells, _COMBINATION) - _phi_of(cells, _SINGLE)


def _effects(cells: Ints) -> pd.DataFrame:
    images = int(cells[0].sum()) if len(cells) else 0
    support, positives = cells @ _COMBINATION, cells @ _CONCEPT
    both = cells @ (_COMBINATION * _CONCEPT)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = both / support
        lift = precision * images / positives
    return pd.DataFrame(
        {
            "n": images,
            "support": support,
            "lift": lift,
            "phi": _phi_of(cells, _COMBINATION),
            "precision": precision,
            "recall": both / positives,
            "f1": 2 * both / (support + positives),
            "p": fisher_greater(both, support, positives, images),
        }
    )


def _intervals(
    cells: Ints, resamples: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats, Floats]:
    """95 % intervals of phi and of the gain: (low, high, gain low, gain high)."""
    if not resamples or not len(cells):
        empty = np.full(len(cells), np.nan)
        return empty, empty, empty, empty
    drawn = resampled_cells(cells, resamples, rng)
    low, high = percentile_interval(_phi_of(drawn, _COMBINATION))
    gain_low, gain_high = percentile_interval(_gain(drawn))
    return low, high, gain_low, gain_high
