"""Fitted on one attack, tested on another: the matrix of supervised detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from pathlens.detection.evaluation.fitting import ON_OTHERS, ON_THIS
from pathlens.detection.evaluation.lines import Line
from pathlens.detection.sets import ATTACK

COLUMNS = (
    *("code", "detector", "fitted_on", "altered", "same_family", "n_clean", "n_altered"),
    *("auroc", "ci_low", "ci_high", "tpr_1", "tpr_5", "fpr_5"),
)


def attack_matrix(lines: Sequence[Line], families: Mapping[str, str]) -> pd.DataFrame:
    """Every attack fitted on against every attack tested, and all families but that of the tested one.

    Args:
        lines: All rows of the table.
        families: Family of each attack.

    Returns:
        Columns `COLUMNS`; `fitted_on` is the name of an attack, also where it is the one tested, or
        `ON_OTHERS`; `same_family` whether attacks of the family tested were fitted on.
    """
    attacks = {x.values["altered"] for x in lines if x.values["kind"] == ATTACK}
    rows = []
    for line in lines:
        values = line.values
        if values["fitted_on"] in attacks | {ON_THIS, ON_OTHERS} and values["kind"] == ATTACK:
            tested = values["altered"]
            fitted_on = tested if values["fitted_on"] == ON_THIS else values["fitted_on"]
            same = fitted_on != ON_OTHERS and families[fitted_on] == families[tested]
            rows.append({**values, "fitted_on": fitted_on, "same_family": same})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def worst_cell(
    matrix: pd.DataFrame, detector: str, code: str, within_families: bool = False
) -> pd.Series | None:
    """The row of the lowest area of a detector on an attack of a family that it was not fitted on.

    Fitting on all other families counts as well. None if there is no such row.

    Args:
        matrix: As `attack_matrix` has it.
        detector: Name of the detector.
        code: The code that it reads.
        within_families: Whether other attacks of the family fitted on count too.
    """
    rows = matrix[(matrix["detector"] == detector) & (matrix["code"] == code)]
    unseen = rows["fitted_on"] != rows["altered"]
    if not within_families:
        unseen &= ~rows["same_family"].astype(bool)
    rows = rows[unseen & rows["auroc"].notna()]
    return None if rows.empty else rows.iloc[int(rows["auroc"].argmin())]
