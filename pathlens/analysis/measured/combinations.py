"""What measuring with the network said of combinations, beside what was found without it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pathlens.analysis.associating.measurements import ABLATION, FURTHER, IOU, WORDS
from pathlens.errors import PathLensError
from pathlens.recording.beside import COMBINATIONS, OVERLAYS, read_beside, read_overlays

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
    *("iou_groups", "iou_note", "measured_with"),
)
"""What masks say; columns that the network's ablation says begin with `ablation_`."""

ABLATED = "ablation_"
"""What names of columns begin with that ablation fills."""
MEASURED_WITH, MEASURED_TURN = "measured_with", "measured_turn"

_SHOWN = (*IOU, *ABLATION, *FURTHER)
_TURNS = (MEASURED_TURN, ABLATED + MEASURED_TURN)
_NUMBERS = {*_SHOWN, *IOU_COLUMNS, *_TURNS} - {*WORDS}
_ENTRY = {"layer": str, "combination": str, "concept": str, "question": str, "hits": int}


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
        quantile_best_single (the share of discovery pixels that each was to be on for, the best of a
        few; the true share differs where many pixels are alike, and is smaller where the filters
        respond on fewer);
        share_on and share_concept (of labelled confirmation pixels); iou_ceiling (the largest IoU
        with these two shares), iou_ceiling_fixed (with 0.005 in the place of the first);
        images_with_masks and images_without_masks (confirmation images that were read, and that could
        not be), images_discovery; iou_groups (of confirmation images with pixels of the concept; 0
        where each image stands alone) and iou_note (what speaks against trusting the interval).
        Where it was forced off: ablation_effect and others that begin so, as
        `pathlens.probing.ablate_combinations` names them. measured_with and ablation_measured_with
        are the same where masks, images and seed were, and measured_turn and ablation_measured_turn
        count measurements. Empty where not measured; without a row if nothing was.

    Raises:
        PathLensError: If the table beside the recording is damaged.
    """
    table = read_beside(recording, COMBINATIONS)
    if table is None:
        return pd.DataFrame(columns=[*KEYS, "split", *IOU_COLUMNS, *ABLATION])
    _require_sound(recording, table)
    table = table.drop_duplicates(list(KEYS), keep="last")
    kept = table if question is None else table[table["question"] == question]
    return kept.reset_index(drop=True)


def _require_sound(recording: Recording, table: pd.DataFrame) -> None:
    """Refuse a table that lacks columns, or that has words where numbers belong."""
    sound = {*KEYS} <= set(table.columns)
    numbers = [name for name in table.columns if name in _NUMBERS]
    if not sound or not all(pd.api.types.is_numeric_dtype(table[name]) for name in numbers):
        raise PathLensError(
            f"{recording.folder / COMBINATIONS} is no table of combinations: move it away and measure "
            "again with `pathlens associate`."
        )


def overlay_entries(recording: Recording) -> list[dict[str, Any]]:
    """The pictures of combinations beside a recording, as `read_overlays` says; whole entries only.

    Args:
        recording: The recording.

    Raises:
        PathLensError: If the file is damaged, or an entry lacks something.
    """
    entries = read_overlays(recording)
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise PathLensError(
            f"{recording.folder / OVERLAYS} is damaged: make it again with `pathlens associate "
            "--masks`."
        )
    return entries


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("images"), list):
        return False
    if not all(isinstance(entry.get(name), kind) for name, kind in _ENTRY.items()):
        return False
    return all(
        isinstance(one, dict)
        and isinstance(one.get("image"), str)
        and isinstance(one.get("picture"), str)
        for one in entry["images"]
    )


def with_measured(recording: Recording, found: Associations) -> Associations:
    """The same associations with what was measured of them, for the same question.

    Args:
        recording: The recording that they were found in.
        found: The associations.

    Raises:
        PathLensError: If the table beside the recording is damaged.
    """
    return filled(found, combinations(recording))


def filled(found: Associations, table: pd.DataFrame) -> Associations:
    """Associations with what a table says of them, for their question.

    Of rows that were measured in several ways (other masks, images or seeds) only those of the latest
    are taken, masks and ablation apart, so that sentences and tables speak of one setting.

    Args:
        found: The associations.
        table: A table as `combinations` gives it.
    """
    asked = table[table["question"] == found.question.id]
    if asked.empty:
        return found
    about = ["name", "combination", "concept"]
    measured = _of_latest_setting(asked).rename(columns={"layer": "name"}).set_index(about)
    places = pd.MultiIndex.from_frame(found.frame[about])
    rows = measured.reindex(index=places, columns=list(_SHOWN))
    values = {name: _values(rows[name], name) for name in _SHOWN}
    return replace(found, frame=found.frame.assign(**values))


def _values(column: pd.Series, name: str) -> Any:
    if name not in WORDS:
        return column.to_numpy(dtype=float)
    return column.astype(object).replace("", np.nan).to_numpy()


def _of_latest_setting(table: pd.DataFrame) -> pd.DataFrame:
    """Without what was measured in another way than the latest measurement."""
    for prefix in ("", ABLATED):
        setting, turn = prefix + MEASURED_WITH, prefix + MEASURED_TURN
        if not {setting, turn} <= set(table.columns) or table[turn].isna().all():
            continue
        turns = table[turn].to_numpy(dtype=float)
        same = table[setting] == table[setting].iloc[int(np.nanargmax(turns))]
        own = [name for name in table if name in _SHOWN and _is_ablated(name) == bool(prefix)]
        table = table.assign(**{name: table[name].where(same) for name in own})
    return table


def _is_ablated(name: str) -> bool:
    return name.startswith(ABLATED)
