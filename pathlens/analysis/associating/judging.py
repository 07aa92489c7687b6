"""Which of the tested candidates may be claimed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.associating.association_table import COLUMNS, UNFILLED
from pathlens.analysis.associating.beyond_class import with_verdicts
from pathlens.analysis.associating.class_permutation import PERMUTATION
from pathlens.analysis.associating.corrections import can_be_significant, corrected
from pathlens.analysis.associating.hunting import Hunt
from pathlens.analysis.source import Ints
from pathlens.layers import Layer
from pathlens.progress import progress_bar


def judge(
    parts: Sequence[pd.DataFrame], hunt: Hunt, layers: Sequence[Layer], *, progress: bool = False
) -> pd.DataFrame:
    """All candidates in their order, corrected together.

    Args:
        parts: Tables of tested candidates.
        hunt: How they were searched; also tests concepts that are sets of classes.
        layers: The layers searched.
        progress: Whether tests over classes show a bar, as each repeats a search many times.

    Returns:
        Columns `COLUMNS`.
    """
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS)).astype({"confirmed": bool, "testable": bool})
    options = hunt.options
    frame = pd.concat(parts, ignore_index=True)
    family = can_be_significant(frame["p_smallest"].to_numpy(), options.level)
    frame = _with_class_p(
        frame.assign(testable=family), hunt, {x.index: x for x in layers}, progress
    )
    stepped = corrected(frame["p"].to_numpy(dtype=np.float64), family, options.correction)
    frame = frame.assign(p_corrected=stepped, confirmed=stepped <= options.level)
    frame = with_verdicts(frame, options.level, options.correction)
    frame = frame.assign(**dict.fromkeys(UNFILLED, np.nan))
    frame = frame.sort_values(["layer", "p", "phi"], ascending=[True, True, False], kind="stable")
    return frame[list(COLUMNS)].reset_index(drop=True)


def _with_class_p(
    frame: pd.DataFrame, hunt: Hunt, layers: dict[Any, Layer], progress: bool
) -> pd.DataFrame:
    """P of the testable candidates whose concept is a set of classes; the others need none."""
    asked = frame[(frame["test"] == PERMUTATION) & frame["testable"]]
    groups = list(asked.groupby(["layer", "concept"], sort=False))
    shown = progress and bool(groups)
    for (index, concept), rows in progress_bar(groups, desc="test over classes", shown=shown):
        candidates = [_filters(text) for text in rows["combination"]]
        frame.loc[rows.index, "p"] = hunt.class_p(layers[index], str(concept), candidates)
    return frame


def _filters(combination: str) -> Ints:
    return np.array([int(x) for x in combination.split("+")], dtype=np.int64)
