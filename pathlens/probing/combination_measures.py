"""`measure_combinations()`: what masks and the network say of associations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pathlens.analysis.associating.association_table import Associations
from pathlens.analysis.associating.ledger import Question
from pathlens.analysis.associating.turns import in_turn
from pathlens.analysis.measured.combinations import (
    ABLATED,
    KEYS,
    MEASURED_TURN,
    MEASURED_WITH,
    combinations,
    filled,
)
from pathlens.analysis.results import join_notes, plural
from pathlens.errors import PathLensError
from pathlens.files import write_text
from pathlens.probing.combination_settings import ablation_setting, mask_setting
from pathlens.probing.mask_measures import MaskBench, MaskMeasures, draw, measure, open_bench
from pathlens.probing.mask_views import Masks
from pathlens.recording.beside import COMBINATIONS
from pathlens.recording.reader import Recording, open_recording

STRONGEST = 20
"""So many associations are measured unless something else is asked for."""


def measure_combinations(
    recording: str | Path | Recording,
    found: Associations,
    *,
    masks: Masks | None = None,
    ablate: bool = False,
    concepts: pd.DataFrame | None = None,
    threshold: float | None = None,
    confirmed_only: bool = True,
    strongest: int | None = STRONGEST,
    data: str | Path | None = None,
    images: int = 500,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
) -> Associations:
    """Measure associations with the network: IoU with masks, and what ablation changes.

    The IoU is of the combination's response map (the minimum of the gated maps of its filters) with the
    concept's pixels, in the network's view of the images. A map is cut at the quantile that fits best
    on discovery images, and so is that of the layer's best single filter, which stands beside it; both
    are measured on confirmation images. Unlabelled pixels are neither. Rows of a single filter are
    measured alike.

    What is measured is merged into `combinations.csv` beside the recording, where
    `pathlens.analysis.measured.combinations` reads it (and says what its columns mean), and a few
    pictures into `combination_overlays.json`.

    Args:
        recording: A recording that lies below its run.
        found: Associations of this recording.
        masks: A `MaskFolder`, or "dataset" for masks that the data set brings; None: no IoU.
        ablate: Whether to force combinations off, as `ablate_combinations` does.
        concepts: The concept table that was searched; None for the recording's own.
        threshold: The threshold that was searched with.
        confirmed_only: Whether to leave out associations that were not confirmed.
        strongest: How many to measure, at most, with masks (of those whose concepts have masks) and
            by ablation, in the order of `in_turn`; None for all. Ablation runs the network some
            twenty times over the images for each.
        data: Where the images are, if not where the run found them.
        images: Images that are looked at: so many of each half that have masks, at most, drawn by
            seed; and as `ablate_combinations` says.
        seed: Draws images, bootstrap samples and pictures.
        device: Where to run.
        progress: Whether to show progress bars.

    Returns:
        The associations with all that is known beside the recording for their question, as far as
        it was measured in the same way as the latest; what could not be written there is in them all
        the same, and noted in `left_out`.

    Raises:
        PathLensError: If the run or its images are not those of the recording, masks cannot be read,
            belong to no image or are not of the size of theirs, no association is about one of their
            concepts, or the tables beside the recording cannot be read.
    """
    if images < 2:
        raise PathLensError(f"{images} images were asked for: look at 2 at least.")
    if strongest is not None and strongest < 1:
        raise PathLensError(f"The strongest {strongest} were asked for: measure 1 at least.")
    source = recording if isinstance(recording, Recording) else open_recording(recording)
    rows = found.confirmed if confirmed_only else found.frame
    notes, unkept = [found.left_out], list[pd.DataFrame]()
    if rows.empty and (ablate or masks is not None):
        notes.append("masks and ablation, as nothing is confirmed")
    elif masks is not None:
        bench = open_bench(source, found, masks, data, device, progress=progress)
        measured, note = _measure_masks(bench, rows, strongest, images, seed)
        notes.append(note)
        if len(measured.table):
            setting = mask_setting(masks, images, seed)
            table = _named(found.question, measured.table.assign(measured_with=setting))
            notes.append(_kept(source, table, unkept, lambda: draw(bench, measured, seed)))
    if ablate and not rows.empty:
        from pathlens.probing.combination_ablation import ablate_combinations

        chosen, weaker = _first(rows, strongest, "ablation")
        effects = ablate_combinations(
            source,
            replace(found, frame=chosen),
            concepts=concepts,
            threshold=threshold,
            confirmed_only=confirmed_only,
            data=data,
            images=images,
            seed=seed,
            device=device,
            progress=progress,
        )
        effects = effects.assign(measured_with=ablation_setting(images, seed))
        table = _named(found.question, _named_ablation(effects))
        notes += [weaker, _kept(source, table, unkept)]
    return _filled(source, replace(found, left_out=join_notes(notes)), unkept)


def _first(rows: pd.DataFrame, most: int | None, what: str) -> tuple[pd.DataFrame, str]:
    """Those that are looked at first, in their order, and how many are left out, in words."""
    if most is None or len(rows) <= most:
        return rows, ""
    chosen = in_turn(rows).head(most).sort_index()
    return chosen, f"{what} of {len(rows) - most:,} of {plural(len(rows), 'row')}, the weaker ones"


def _measure_masks(
    bench: MaskBench, rows: pd.DataFrame, strongest: int | None, images: int, seed: int
) -> tuple[MaskMeasures, str]:
    """Measure those with masks that are looked at first; what was not measured, in words."""
    masked = rows[rows["concept"].isin(bench.concepts)]
    missing = len(rows) - len(masked)
    note = f"IoU of {plural(missing, 'row')} whose concept has no masks" * (missing > 0)
    chosen, weaker = _first(masked, strongest, "IoU")
    found = measure(bench, chosen, images, seed)
    return found, join_notes([note, weaker, found.left_out])


def _named_ablation(effects: pd.DataFrame) -> pd.DataFrame:
    """With the layer by name, and every measure under a name that begins with `ablation_`."""
    table = effects.drop(columns="layer").rename(columns={"name": "layer"})
    prefix = "ablation_"
    named = {x: prefix + x.removeprefix(prefix) for x in table.columns if x not in KEYS}
    return table.rename(columns=named)


def _named(asked: Question, measured: pd.DataFrame) -> pd.DataFrame:
    """With the question that the rows answer."""
    return measured.assign(question=asked.id, split=asked.split)


def _kept(
    source: Recording,
    measured: pd.DataFrame,
    unkept: list[pd.DataFrame],
    then: Callable[[], None] | None = None,
) -> str:
    """Write measured rows beside the recording, and what goes with them; what failed, in words.

    A long measurement is not lost because the disk is full: rows that could not be written are added
    to `unkept`.
    """
    try:
        table = _merged(combinations(source), measured)
        # Whole numbers beside empty cells would be written with a decimal point.
        table = table.convert_dtypes().assign(recording=source.hash)
        write_text(source.folder / COMBINATIONS, table.to_csv(index=False, lineterminator="\n"))
    except (PathLensError, OSError) as error:
        unkept.append(measured)
        return _failed("a copy of these measures beside the recording", error)
    try:
        if then is not None:
            then()
    except (PathLensError, OSError) as error:
        return _failed("pictures of combinations", error)
    return ""


def _failed(what: str, error: Exception) -> str:
    return f"{what} ({str(error).rstrip('.')})"


def _merged(before: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """A table with measured columns of some rows; all other rows and columns stay as they are."""
    added = measured.set_index(list(KEYS))
    for setting in (MEASURED_WITH, ABLATED + MEASURED_WITH):
        if setting in added:
            turn = setting.replace(MEASURED_WITH, MEASURED_TURN)
            last = before[turn].max() if turn in before else np.nan
            added[turn] = 1 if np.isnan(last) else int(last) + 1
    before = before.set_index(list(KEYS))
    names = list(dict.fromkeys([*before.columns, *added.columns]))
    whole = before.reindex(index=before.index.union(added.index, sort=False), columns=names)
    whole = whole.astype(object)
    whole.loc[added.index, added.columns] = added.astype(object)
    return whole.reset_index()


def _filled(source: Recording, found: Associations, unkept: list[pd.DataFrame]) -> Associations:
    """With all that is known beside the recording, and what could not be written there."""
    try:
        table = combinations(source)
    except PathLensError:
        if not unkept:
            raise
        table = pd.DataFrame(columns=list(KEYS))
    for measured in unkept:
        table = _merged(table, measured)
    return filled(found, table)
