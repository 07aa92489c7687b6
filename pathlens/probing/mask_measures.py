"""Associations held against masks: which images, the table of IoUs, and a few pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.associating.association_table import Associations
from pathlens.analysis.associating.ledger import Question
from pathlens.analysis.associating.resampling import FEW_GROUPS
from pathlens.analysis.associating.targets import count_groups, group_codes, split_halves
from pathlens.analysis.measured.combinations import IOU_COLUMNS, KEYS, overlay_entries
from pathlens.analysis.results import join_notes, plural
from pathlens.analysis.source import Ints
from pathlens.concept_tables.layout import shown
from pathlens.errors import PathLensError
from pathlens.files import write_json
from pathlens.probing.combination_maps import Fits, MapBench, Pair, Unit, fit, iou_table
from pathlens.probing.combination_overlays import drawn_at_random, overlays, with_pictures
from pathlens.probing.map_thresholds import lower_edge
from pathlens.probing.mask_views import MaskedImages, Masks, open_masks
from pathlens.probing.subject import open_subject
from pathlens.recording.beside import OVERLAYS
from pathlens.recording.reader import Recording

RESAMPLES = 500
"""Bootstrap samples of an IoU."""


@dataclass(frozen=True)
class MaskBench:
    """A recording, its network and its masks.

    Attributes:
        source: The recording.
        asked: The question that its associations answer.
        maps: The network and the images with masks of concepts that were searched.
    """

    source: Recording
    asked: Question
    maps: MapBench

    @property
    def concepts(self) -> tuple[str, ...]:
        """The concepts that were searched and have masks."""
        return self.maps.images.concepts

    def pairs(self, row: Mapping[Any, Any]) -> tuple[Pair, Pair]:
        """The combination of an association and its layer's best single filter, with the concept."""
        concept = self.concepts.index(row["concept"])
        filters = tuple(int(x) for x in row["combination"].split("+"))
        single = (int(row["best_single"]),)
        return (Unit(row["name"], filters), concept), (Unit(row["name"], single), concept)


@dataclass(frozen=True)
class Halves:
    """Images that have masks.

    Attributes:
        discovery: int64, those that thresholds are chosen on.
        confirmation: int64, those that are measured on.
        without: Confirmation images without a mask.
        spare: Images with a mask that are not looked at.
    """

    discovery: Ints = field(repr=False)
    confirmation: Ints = field(repr=False)
    without: int
    spare: int


@dataclass(frozen=True)
class MaskMeasures:
    """How associations fit masks.

    Attributes:
        rows: Those that were measured.
        table: Columns layer, combination, concept and `IOU_COLUMNS` but measured_with, a row each.
        fits: What the table is made from; None if nothing was measured.
        halves: The images; None if nothing was measured.
        left_out: What was not measured, in words.
    """

    rows: pd.DataFrame = field(repr=False)
    table: pd.DataFrame = field(repr=False)
    fits: Fits | None
    halves: Halves | None
    left_out: str


def open_bench(
    source: Recording,
    found: Associations,
    masks: Masks,
    data: str | Path | None,
    device: str,
    *,
    progress: bool,
) -> MaskBench:
    """Open a recording's network, its images and their masks.

    Raises:
        PathLensError: If one of them cannot be had, or no association is about a concept of the masks.
    """
    subject = open_subject(source, data, labelled=False)
    images, view = subject.loader.split, subject.loader.view
    origin = open_masks(masks, images)
    searched = set(found.frame["concept"])
    concepts = tuple(sorted(searched & set(origin.names)))
    if not concepts:
        raise PathLensError(
            f"None of the associations is about a concept of the masks ({shown(origin.names)}): they "
            f"are about {shown(sorted(searched))}; search a concept table that was built from these "
            "masks with `pathlens concepts build masks`."
        )
    masked = MaskedImages(images, view, origin, concepts)
    return MaskBench(source, found.question, MapBench(subject.network, masked, device, progress))


def measure(bench: MaskBench, rows: pd.DataFrame, images: int, seed: int) -> MaskMeasures:
    """IoU of response maps with the pixels of concepts.

    Args:
        bench: Where to measure.
        rows: Rows of associations, of concepts that have masks.
        images: Images of each half, at most.
        seed: Draws them and the bootstrap samples.

    Raises:
        PathLensError: If a half has no image with a mask, or a mask or image cannot be read.
    """
    if rows.empty:
        return MaskMeasures(rows, pd.DataFrame(), None, None, "")
    halves = halves_with_masks(bench, images, seed)
    pairs = [bench.pairs(row) for row in rows.to_dict("records")]
    every = list(dict.fromkeys(pair for both in pairs for pair in both))
    fits = fit(bench.maps, every, halves.discovery, halves.confirmation)
    about = rows[["name", "combination", "concept", "best_single"]]
    blocks = _blocks(bench.source, halves.confirmation)
    table = iou_table(fits, about, pairs, blocks, resamples=RESAMPLES, seed=seed)
    table = table.rename(columns={"name": "layer"}).assign(
        images_with_masks=len(halves.confirmation),
        images_without_masks=halves.without,
        images_discovery=len(halves.discovery),
        **_groups(bench.source, fits, pairs, blocks),
    )
    notes = [
        f"IoU on {plural(halves.without, 'confirmation image')} without a mask"
        * (halves.without > 0),
        f"IoU on {plural(halves.spare, 'image')} with a mask, by choice" * (halves.spare > 0),
    ]
    columns = [name for name in (*KEYS[:3], *IOU_COLUMNS) if name in table]
    return MaskMeasures(rows, table[columns], fits, halves, join_notes(notes))


def _groups(
    source: Recording, fits: Fits, pairs: Sequence[tuple[Pair, Pair]], blocks: Ints
) -> dict[str, Any]:
    """Groups of images with pixels of each row's concept, and a note where they are few."""
    if not count_groups(source.images):
        return {"iou_groups": 0, "iou_note": ""}
    has = [fits.has[:, concept] > 0 for (_, concept), _ in pairs]
    counts = [max(1, len(np.unique(blocks[one]))) for one in has]
    few = "too few for an interval to be trusted"
    notes = [f"{plural(n, 'group')}, {few}" * (n < FEW_GROUPS) for n in counts]
    return {"iou_groups": counts, "iou_note": notes}


def halves_with_masks(bench: MaskBench, images: int, seed: int) -> Halves:
    """Images with masks of the halves that were searched and confirmed on, at most so many of each.

    Raises:
        PathLensError: If a half has none.
    """
    masks, source = bench.maps.images.source, bench.source
    on_discovery = split_halves(source.images, bench.asked.split)
    has = np.array([masks.has(row) for row in range(len(source))], dtype=np.bool_)
    rng = np.random.default_rng(seed)
    halves = []
    for name, half in (("discovery", on_discovery), ("confirmation", ~on_discovery)):
        rows = np.flatnonzero(half & has)
        if not len(rows):
            raise PathLensError(
                f"No {name} image has a mask: give masks of more images, or split by another seed."
            )
        halves.append(np.sort(rng.permutation(rows)[:images]))
    without = int((~on_discovery & ~has).sum())
    return Halves(halves[0], halves[1], without, int(has.sum()) - sum(map(len, halves)))


def _blocks(source: Recording, rows: Ints) -> Ints:
    """Which images are drawn together in a bootstrap sample: those of one group."""
    if not count_groups(source.images):
        return np.arange(len(rows), dtype=np.int64)
    codes = group_codes(source.images)[rows]
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def draw(bench: MaskBench, found: MaskMeasures, seed: int) -> None:
    """Write pictures of a few combinations beside the recording, in place of earlier ones.

    Those of other questions stay.

    Args:
        bench: Where to draw.
        found: What was measured; not empty.
        seed: Draws images among confirmation images with the concept that take the combination.
    """
    asked = bench.asked.id
    entries = [entry for entry in overlay_entries(bench.source) if entry["question"] != asked]
    chosen = with_pictures(found.rows).to_dict("records")
    entries += [_entry(bench, found, row, seed) for row in chosen]
    content = {"recording": bench.source.hash, "combinations": entries}
    write_json(bench.source.folder / OVERLAYS, content)


def _entry(
    bench: MaskBench, found: MaskMeasures, row: Mapping[Any, Any], seed: int
) -> dict[str, Any]:
    assert found.fits is not None
    assert found.halves is not None
    (unit, concept), _ = bench.pairs(row)
    images = found.halves.confirmation
    on = bench.source.bits(unit.layer)[images][:, list(unit.filters)].all(axis=1)
    hits = images[on & (found.fits.has[:, concept] > 0)]
    drawn = drawn_at_random(hits, seed)
    threshold = lower_edge(found.fits.of[unit, concept].threshold)
    ids = bench.source.images["image"].to_numpy()[drawn]
    pictures = overlays(bench.maps, unit, concept, drawn, threshold)
    return {
        "layer": unit.layer,
        "combination": row["combination"],
        "concept": row["concept"],
        "question": bench.asked.id,
        "hits": len(hits),
        "images": [
            {"image": str(image), "picture": picture}
            for image, picture in zip(ids, pictures, strict=True)
        ],
    }
