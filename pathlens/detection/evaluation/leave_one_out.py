"""Fitted on one attack, tested on another: the matrix of supervised detectors."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pathlens.detection.evaluation.cells import ATTACK
from pathlens.detection.evaluation.fitting import ON_OTHERS, ON_THIS
from pathlens.detection.evaluation.table import Line

COLUMNS = (
    *("code", "detector", "fitted_on", "altered", "n_clean", "n_altered"),
    *("auroc", "ci_low", "ci_high", "tpr_1", "tpr_5", "fpr_5"),
)


def attack_matrix(lines: Sequence[Line]) -> pd.DataFrame:
    """Every attack fitted on against every attack tested, and all but the one tested.

    Args:
        lines: All rows of the table.

    Returns:
        Columns `COLUMNS`; `fitted_on` is the name of an attack, also where it is the one tested, or
        `ON_OTHERS`.
    """
    attacks = {x.values["altered"] for x in lines if x.values["kind"] == ATTACK}
    rows = []
    for line in lines:
        values = line.values
        if values["fitted_on"] in attacks | {ON_THIS, ON_OTHERS} and values["kind"] == ATTACK:
            own = values["fitted_on"] == ON_THIS
            rows.append({**values, "fitted_on": values["altered"] if own else values["fitted_on"]})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def worst_cell(matrix: pd.DataFrame, detector: str, code: str) -> pd.Series | None:
    """The row of the lowest area of a detector on an attack that it was not fitted on.

    Fitting on all other attacks counts as well. None if there is no such row.
    """
    rows = matrix[(matrix["detector"] == detector) & (matrix["code"] == code)]
    rows = rows[(rows["fitted_on"] != rows["altered"]) & rows["auroc"].notna()]
    return None if rows.empty else rows.iloc[int(rows["auroc"].argmin())]
