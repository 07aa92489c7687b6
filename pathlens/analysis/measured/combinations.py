"""What measuring with the network said of combinations, beside what was found without it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from pathlens.analysis.associating.measurements import ABLATION, FURTHER, IOU
from pathlens.errors import PathLensError
from pathlens.recording.beside import COMBINATIONS, read_beside

if TYPE_CHECKING:
    from pathlens.analysis.associating.association_table import Associations
    from pathlens.recording import Recording

KEYS = ("layer", "combination", "concept", "question")
"""Columns that say what a row is about: the layer by name, and the question it was found for."""

IOU_COLUMNS = (
    *("best_single", *IOU, "iou_ci_low", "iou_ci_high"),
    *("iou_best_single_ci_low", "iou_best_single_ci_high"),
    *("iou_gain", "iou_gain_ci_low", "iou_gain_ci_high", "iou_ceiling_fixed"),
    *("quantile", "quantile_best_single", "share_on", "share_concept"),
    *("images_with_masks", "images_without_masks", "images_discovery"),
)
"""What masks say; columns that the network's ablation says begin with `ablation_`."""

_SHOWN = (*IOU, *ABLATION, *FURTHER)


def combinations(recording: Recording, question: str | None = None) -> pd.DataFrame:
    """What was measured of combinations; `pathlens associate` with masks or ablation measures it.

    Args:
        recording: The recording.
        question: Id of the question (`Associations.question.id`) that they were found for; None for
            all.

    Returns:
        A row a layer (by name), combination, concept and question, and the seed of its split. Where
        masks were read, on confirmation images: iou (summed intersections over summed unions of the
        combination's response map and the concept's pixels), the same of best_single (the layer's
        best single filter) as iou_best_single, their difference iou_gain, each with its 95 % bootstrap
        interval (`_ci_low`, `_ci_high`) over images, or over groups of them; quantile and
        quantile_best_single (share of discovery pixels that each is on for, chosen there);
        share_on and share_concept (of labelled confirmation pixels); iou_ceiling (the largest IoU
        with these two shares), iou_ceiling_fixed (with 0.005 in the place of the first);
        images_with_masks and images_without_masks (confirmation images that were read, and that could
        not be), images_discovery. Where it was forced off: ablation_effect and others that begin so,
        as `pathlens.probing.ablate_combinations` names them. Empty where not measured; without a row
        if nothing was.

    Raises:
        PathLensError: If the table beside the recording is damaged.
    """
    table = read_beside(recording, COMBINATIONS)
    if table is None:
        return pd.DataFrame(columns=[*KEYS, "split", *IOU_COLUMNS, *ABLATION])
    if not {*KEYS} <= set(table.columns):
        raise PathLensError(
            f"{recording.folder / COMBINATIONS} is no table of combinations: move it away and measure "
            "again with `pathlens associate`."
        )
    table = table.drop_duplicates(list(KEYS), keep="last")
    kept = table if question is None else table[table["question"] == question]
    return kept.reset_index(drop=True)


def with_measured(recording: Recording, found: Associations) -> Associations:
    """The same associations with what was measured of them, for the same question.

    Args:
        recording: The recording that they were found in.
        found: The associations.

    Raises:
        PathLensError: If the table beside the recording is damaged.
    """
    table = combinations(recording, found.question.id)
    if table.empty:
        return found
    about = ["name", "combination", "concept"]
    measured = table.rename(columns={"layer": "name"}).set_index(about)
    places = pd.MultiIndex.from_frame(found.frame[about])
    rows = measured.reindex(index=places, columns=list(_SHOWN))
    values = {name: rows[name].to_numpy(dtype=float) for name in _SHOWN}
    return replace(found, frame=found.frame.assign(**values))
