"""What only masks or the network can say of an association: its columns, and its sentences."""

from __future__ import annotations

import pandas as pd

from pathlens.analysis.results import plural

IOU = ("iou", "iou_best_single", "iou_ceiling")
ABLATION = ("ablation_effect", "ablation_effect_random")

FURTHER = (
    *("iou_ci_low", "iou_ci_high", "iou_gain", "iou_gain_ci_low", "iou_gain_ci_high"),
    *("iou_ceiling_fixed", "quantile", "images_with_masks"),
    *("ablation_effect_ci_low", "ablation_effect_ci_high"),
    *("ablation_effect_random_low", "ablation_effect_random_high"),
    *("ablation_p_random", "ablation_read_out_auroc"),
)
"""What the columns of `IOU` and `ABLATION` have to be read with."""


def measured_words(confirmed: pd.DataFrame) -> str:
    """What was measured of the confirmed associations; "" for nothing."""
    said = (_iou_words(confirmed), _ablation_words(confirmed))
    return " ".join(sentence for sentence in said if sentence)


def _iou_words(confirmed: pd.DataFrame) -> str:
    rows = confirmed[confirmed["iou"].notna()]
    if rows.empty:
        return ""
    several = rows[rows["combination"].str.contains("+", regex=False)]
    better = int((several["iou_gain_ci_low"] > 0).sum())
    middle = rows[list(IOU)].median()
    said = (
        f"The response maps of {plural(len(rows), 'confirmed row')} were held against the pixels of "
        f"their concepts: median IoU {middle['iou']:.2f} (at most {middle['iou_ceiling']:.2f} with as "
        f"many pixels on), of the layer's best single filter {middle['iou_best_single']:.2f}"
    )
    if several.empty:
        return f"{said}."
    noun = plural(len(several), "combination", "combinations")
    return (
        f"{said}; {better:,} of {noun} of several filters fit better than that filter (interval of "
        "the difference above 0)."
    )


def _ablation_words(confirmed: pd.DataFrame) -> str:
    rows = confirmed[confirmed["ablation_effect"].notna()]
    if rows.empty:
        return ""
    middle = rows[list(ABLATION)].median()
    # An effect that may be none lowers nothing, even where random sets raise the log odds.
    lower = rows["ablation_effect"] < rows["ablation_effect_random_low"]
    beyond = int((lower & (rows["ablation_effect_ci_high"] < 0)).sum())
    return (
        f"Forced off, {plural(len(rows), 'confirmed combination')} change the log odds of their "
        f"concept's read-out by {middle['ablation_effect']:+.2f} (median; matched random sets "
        f"{middle['ablation_effect_random']:+.2f}); {beyond:,} lower it more than 97.5 % of theirs."
    )
