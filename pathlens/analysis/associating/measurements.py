"""What only masks or the network can say of an association: its columns, and its sentences."""

from __future__ import annotations

import pandas as pd

from pathlens.analysis.associating.resampling import FEW_GROUPS
from pathlens.analysis.results import plural

IOU = ("iou", "iou_best_single", "iou_ceiling")
ABLATION = ("ablation_effect", "ablation_effect_random")

WORDS = ("iou_note", "measured_with", "ablation_note", "ablation_measured_with")
"""Those of `FURTHER` that are text."""

FURTHER = (
    *("iou_ci_low", "iou_ci_high", "iou_gain", "iou_gain_ci_low", "iou_gain_ci_high"),
    *("iou_ceiling_fixed", "quantile", "images_with_masks", "iou_groups"),
    *("ablation_effect_ci_low", "ablation_effect_ci_high"),
    *("ablation_effect_random_low", "ablation_effect_random_high"),
    *("ablation_p_random", "ablation_random_sets", "ablation_read_out_auroc"),
    *WORDS,
)
"""What the columns of `IOU` and `ABLATION` have to be read with."""

READABLE = 0.6
"""A read-out whose AUROC is below this hardly reads the concept, so that its changes say little."""


def measured_words(confirmed: pd.DataFrame) -> str:
    """What was measured of the confirmed associations; "" for nothing."""
    said = (_iou_words(confirmed), _ablation_words(confirmed))
    return " ".join(sentence for sentence in said if sentence)


def _iou_words(confirmed: pd.DataFrame) -> str:
    rows = confirmed[confirmed["iou"].notna()]
    if rows.empty:
        return ""
    middle = rows[list(IOU)].median()
    return (
        f"The response maps of {plural(len(rows), 'confirmed row')} were held against the pixels of "
        f"their concepts: median IoU {middle['iou']:.2f} (at most {middle['iou_ceiling']:.2f} with as "
        f"many pixels on), of the layer's best single filter {middle['iou_best_single']:.2f}"
        f"{_better_words(rows)}."
    )


def _better_words(rows: pd.DataFrame) -> str:
    """How many combinations fit better, of those whose interval can be trusted."""
    several = rows[rows["combination"].str.contains("+", regex=False)]
    if several.empty:
        return ""
    trusted = several[~several["iou_groups"].between(1, FEW_GROUPS - 1)]
    better = int((trusted["iou_gain_ci_low"] > 0).sum())
    few = len(several) - len(trusted)
    noun = plural(len(trusted), "combination", "combinations")
    said = (
        f"; {better:,} of {noun} of several filters fit better than that filter (interval of the "
        "difference above 0)"
    )
    left_out = f", {few:,} over fewer than {FEW_GROUPS} groups left out of this count"
    return said + left_out if few else said


def _ablation_words(confirmed: pd.DataFrame) -> str:
    measured = confirmed[confirmed["ablation_effect"].notna()]
    if measured.empty:
        return ""
    rows = measured[~(measured["ablation_read_out_auroc"] < READABLE)]
    unread = len(measured) - len(rows)
    if rows.empty:
        return (
            f"The read-outs of {plural(unread, 'confirmed combination')} that {_were(unread)} forced "
            f"off hardly read their concepts (AUROC below {READABLE}): what changed explains nothing."
        )
    middle = rows[list(ABLATION)].median()
    left_out = f"; {unread:,} more left out, as the read-out hardly reads the concept"
    return (
        f"Forced off, {plural(len(rows), 'confirmed combination')} change the log odds of their "
        f"concept's read-out by {middle['ablation_effect']:+.2f} (median; matched random sets "
        f"{middle['ablation_effect_random']:+.2f}{left_out if unread else ''}); {_beyond_words(rows)}."
    )


def _beyond_words(rows: pd.DataFrame) -> str:
    """How many lower the log odds more than every random set; few sets allow no finer claim."""
    sets = rows["ablation_random_sets"]
    beside = sets[sets > 0]
    if beside.empty:
        return "no random sets stand beside them"
    least, most = int(beside.min()), int(beside.max())
    count = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    # An effect that may be none lowers nothing, even where random sets raise the log odds.
    beyond = rows["ablation_p_random"] <= 1 / (1 + sets) + 1e-9
    number = int((beyond & (sets > 0) & (rows["ablation_effect_ci_high"] < 0)).sum())
    return (
        f"{number:,} {'lowers' if number == 1 else 'lower'} it more than every one of their "
        f"({count}) matched random sets (a count not corrected for the number of rows)"
    )


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
