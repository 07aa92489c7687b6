"""The same search on other codes of the same images, held against each association."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.associating.gains import difference, phi_of
from pathlens.analysis.associating.resampling import Resampling
from pathlens.analysis.associating.trial import Trial, all_on, members_of
from pathlens.analysis.source import Bits

COLUMNS = (
    "layer",
    "name",
    "combination",
    "concept",
    "baseline",
    "phi",
    "phi_ci_low",
    "phi_ci_high",
    "difference",
    "difference_ci_low",
    "difference_ci_high",
    "baseline_combination",
)


def beside_baseline(
    trial: Trial, other: Trial, resampling: Resampling, rng: np.random.Generator
) -> pd.DataFrame:
    """What a baseline's best combination for the same concept reaches, a row a candidate.

    Args:
        trial: The candidates of the paths and the images.
        other: Candidates of the baseline in the same layer, concepts and images; the first of a concept
            is the one that was best on discovery images.
        resampling: How bootstrap samples are drawn; both codes are of the same sample.
        rng: Source of chance of the bootstrap.

    Returns:
        Columns phi with its interval (of the baseline's combination), difference with its interval
        (phi of the paths less phi of the baseline; against 0 where it has no candidate),
        baseline_combination ("" for none).
    """
    first: dict[int, int] = {}
    for candidate, concept in enumerate(other.found.concept):
        first.setdefault(int(concept), candidate)
    rows = []
    for row in range(len(trial)):
        place = first.get(int(trial.found.concept[row]))
        members = None if place is None else members_of(other.found, place)
        nothing = np.zeros(len(trial.confirmation.bits), dtype=np.bool_)
        rival = nothing if members is None else all_on(other.confirmation.bits, members)
        named = "" if members is None else "+".join(str(x) for x in members)
        rows.append({**_row(trial, row, rival, resampling, rng), "baseline_combination": named})
    return pd.DataFrame(rows)


def _row(
    trial: Trial, row: int, rival: Bits, resampling: Resampling, rng: np.random.Generator
) -> dict[str, Any]:
    on, has = trial.on(row), trial.has(row)
    # Against a property that no image has, whose phi is 0, the difference is the phi itself.
    _, low, high = difference(rival, np.zeros_like(rival), has, resampling, rng)
    value, below, above = difference(on, rival, has, resampling, rng)
    return {
        "phi": phi_of(rival, has),
        "phi_ci_low": low,
        "phi_ci_high": high,
        "difference": value,
        "difference_ci_low": below,
        "difference_ci_high": above,
    }
