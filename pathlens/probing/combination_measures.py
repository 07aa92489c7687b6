"""`measure_combinations()`: what masks and the network say of associations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from pathlens.analysis.associating.association_table import Associations
from pathlens.analysis.associating.ledger import Question
from pathlens.analysis.measured.combinations import KEYS, combinations, with_measured
from pathlens.analysis.results import join_notes
from pathlens.errors import PathLensError
from pathlens.files import write_text
from pathlens.probing.mask_measures import MaskBench, draw, measure, open_bench
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
        strongest: Of how many to measure, at most: those of the largest phi; None for all. Ablation
            runs the network some twenty times over the images for each.
        data: Where the images are, if not where the run found them.
        images: Images that are looked at: so many of each half that have masks, at most, drawn by
            seed; and as `ablate_combinations` says.
        seed: Draws images, bootstrap samples and pictures.
        device: Where to run.
        progress: Whether to show progress bars.

    Returns:
        The associations with all that is known beside the recording for their question.

    Raises:
        PathLensError: If the run or its images are not those of the recording, masks cannot be read,
            belong to no image or are not of the size of theirs, no association is about one of their
            concepts, or the tables beside the recording cannot be read or written.
    """
    if images < 2:
        raise PathLensError(f"{images} images were asked for: look at 2 at least.")
    if strongest is not None and strongest < 1:
        raise PathLensError(f"The strongest {strongest} were asked for: measure 1 at least.")
    source = recording if isinstance(recording, Recording) else open_recording(recording)
    rows, weaker = _strongest(found.confirmed if confirmed_only else found.frame, strongest)
    notes = [found.left_out, weaker if ablate or masks is not None else ""]
    if rows.empty and (ablate or masks is not None):
        notes.append("masks and ablation, as nothing is confirmed")
    elif masks is not None:
        bench = open_bench(source, found, masks, data, device, progress=progress)
        notes.append(_measure_masks(bench, rows, images, seed))
    if ablate and not rows.empty:
        from pathlens.probing.combination_ablation import ablate_combinations

        effects = ablate_combinations(
            source,
            replace(found, frame=rows),
            concepts=concepts,
            threshold=threshold,
            confirmed_only=confirmed_only,
            data=data,
            images=images,
            seed=seed,
            device=device,
            progress=progress,
        )
        _merge(source, found.question, _named_ablation(effects))
    return with_measured(source, replace(found, left_out=join_notes(notes)))


def _strongest(rows: pd.DataFrame, most: int | None) -> tuple[pd.DataFrame, str]:
    """Those of the largest phi, in their order, and how many are left out, in words."""
    if most is None or len(rows) <= most:
        return rows, ""
    chosen = rows.sort_values("phi", ascending=False, kind="stable").head(most).sort_index()
    return chosen, f"masks and ablation of the {len(rows) - most:,} weaker of {len(rows):,}"


def _measure_masks(bench: MaskBench, rows: pd.DataFrame, images: int, seed: int) -> str:
    """Measure, write table and pictures; what was not measured, in words."""
    found = measure(bench, rows, images, seed)
    if len(found.table):
        _merge(bench.source, bench.asked, found.table)
        draw(bench, found, seed)
    return found.left_out


def _named_ablation(effects: pd.DataFrame) -> pd.DataFrame:
    """With the layer by name, and every measure under a name that begins with `ablation_`."""
    table = effects.drop(columns="layer").rename(columns={"name": "layer"})
    prefix = "ablation_"
    named = {x: prefix + x.removeprefix(prefix) for x in table.columns if x not in KEYS}
    return table.rename(columns=named)


def _merge(source: Recording, asked: Question, measured: pd.DataFrame) -> None:
    """Write measured columns of some rows; all other rows and columns stay as they are."""
    added = measured.assign(question=asked.id, split=asked.split).set_index(list(KEYS))
    before = combinations(source).set_index(list(KEYS))
    names = list(dict.fromkeys([*before.columns, *added.columns]))
    whole = before.reindex(index=before.index.union(added.index, sort=False), columns=names)
    whole = whole.astype(object)
    whole.loc[added.index, added.columns] = added.astype(object)
    # Whole numbers beside empty cells would be written with a decimal point.
    table = whole.reset_index().convert_dtypes().assign(recording=source.hash)
    write_text(source.folder / COMBINATIONS, table.to_csv(index=False, lineterminator="\n"))
