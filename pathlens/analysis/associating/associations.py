"""Associations: combinations of filters that images with a concept are routed through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

import pandas as pd

from pathlens.analysis.associating.association_table import Associations
from pathlens.analysis.associating.code_baselines import COLUMNS as BASELINE_COLUMNS
from pathlens.analysis.associating.hunting import Hunt, Hunted
from pathlens.analysis.associating.judging import judge
from pathlens.analysis.associating.ledger import question
from pathlens.analysis.associating.notes import left_out, strangers
from pathlens.analysis.associating.options import Options
from pathlens.analysis.associating.progress import LayerBar
from pathlens.analysis.associating.targets import (
    Targets,
    class_targets,
    count_groups,
    group_codes,
    split_halves,
    table_targets,
)
from pathlens.analysis.baselines import OWN, matched
from pathlens.analysis.source import Bits, PathData, choose_several, require_images
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec


def associations(
    data: PathData,
    layers: Iterable[LayerSpec] | None = None,
    concepts: pd.DataFrame | None = None,
    *,
    seed: int = 0,
    max_size: int = 3,
    top: int = 3,
    level: float = 0.05,
    resamples: int = 500,
    quality: str = "phi",
    min_support: int | None = None,
    beam: int | None = None,
    correction: str = "holm",
    sequence: bool | None = None,
    threshold: float | None = None,
    baselines: Mapping[str, PathData] | None = None,
    progress: bool = False,
) -> Associations:
    """Search combinations that go with concepts on one half of the images, test on the other.

    Concepts are all true classes (`class:<name>`) and those of a concept table; values that are shares
    count as on above the median of the positive discovery values. The search sees discovery images
    only, and a larger combination is kept only if it beats its best subset there, beyond what the best
    of so many filters would by luck (`trimming`). The images of one
    group (a video, a source image) are all in one half.

    P is from Fisher's exact test over images; within sequences from circular shifts of the concept;
    for a concept that is a set of classes from dealing it to other classes. Candidates that cannot
    reach significance, whatever the outcome, stay outside the family that is corrected.

    Args:
        data: A recording.
        layers: Layers by number, name or glob; all for None.
        concepts: Columns image, concept, value; for None those of the recording, if it has any.
        seed: Seed of the split and of the bootstrap.
        max_size: Filters in a combination, at most.
        top: Combinations tested for each concept and layer, at most.
        level: Level of the family of all candidates, above 0 and below 1.
        resamples: Bootstrap samples; 0 for no intervals.
        quality: What the search ranks by: "phi", "wracc" or "lift".
        min_support: Discovery images that a combination has to be on for; None for the quality's own.
        beam: Instead of an exact search, widen only the so many best combinations of each size.
        correction: "holm" (chance of any false claim), "bh" or "by" (mean share of false claims).
        sequence: Whether the images of a group are a sequence in the order of the recording; None:
            where groups hold several images that are not derived from one source image.
        threshold: Value above which an image has a concept of the table.
        baselines: Other codes of the same images and layers, by name; the same search is made there.
        progress: Whether bars on stderr show how far it is.

    Raises:
        PathLensError: If a layer is unknown, an option is out of range, the images cannot be split, the
            concept table is none or names no image of the recording, or a baseline does not fit.
    """
    options = Options(
        seed,
        max_size,
        top,
        level,
        resamples,
        quality,
        min_support,
        beam,
        correction,
        sequence,
        threshold,
    )
    options.check()
    require_images(data)
    chosen = choose_several(data, layers)
    codes = matched(data, baselines)
    del codes[OWN]
    table = data.concepts() if concepts is None else concepts
    hunt = _hunt(data, table, options, codes)
    bar = LayerBar(chosen, progress)
    hunted = [hunt.layer(layer, bar.step) for layer in bar.over(chosen)]
    parts = [part for one in hunted for part in one.parts]
    frame = judge(parts, hunt, chosen, progress=progress)
    unknown = strangers(data, table)
    still = [x.name for x, one in zip(chosen, hunted, strict=True) if not one.filters]
    asked = {key: value for key, value in asdict(options).items() if key != "resamples"}
    return Associations(
        frame=frame,
        baselines=_stacked([part for one in hunted for part in one.baselines]),
        searched=_searched(hunt, hunted, len(frame)),
        class_sets=_class_sets(hunt.targets),
        level=level,
        beam=beam,
        correction=correction,
        question=question(seed, table, layers=[x.name for x in chosen], **asked),
        left_out=left_out(hunt, still, unknown),
        warning=unknown.warning,
    )


def _hunt(
    data: PathData,
    table: pd.DataFrame | None,
    options: Options,
    baselines: Mapping[str, PathData],
) -> Hunt:
    discovery = split_halves(data.images, options.seed)
    grouped = count_groups(data.images) > 0
    if options.sequence and not grouped:
        raise PathLensError(
            "Without groups of several images there are no sequences: record with --groups, or leave "
            "sequence out."
        )
    return Hunt(
        data=data,
        discovery=discovery,
        targets=_targets(data, table, discovery, options.threshold),
        options=options,
        groups=group_codes(data.images) if grouped else None,
        sequences=grouped and _are_sequences(data.images, options.sequence),
        baselines=baselines,
    )


def _are_sequences(images: pd.DataFrame, asked: bool | None) -> bool:
    if asked is not None:
        return asked
    return "source_image" not in images or not (images["source_image"].fillna("") != "").any()


def _targets(
    data: PathData, table: pd.DataFrame | None, discovery: Bits, threshold: float | None
) -> list[Targets]:
    classes = class_targets(data, discovery)
    named = None if table is None else table_targets(data, table, discovery, threshold)
    return [target for target in (classes, named) if target is not None]


def _searched(hunt: Hunt, hunted: list[Hunted], tested: int) -> dict[str, int]:
    return {
        "layers": len(hunted),
        "filters": sum(one.filters for one in hunted),
        "candidates": sum(one.candidates for one in hunted),
        "visited": sum(one.visited for one in hunted),
        "concepts": sum(len(target.names) for target in hunt.targets),
        "tested": tested,
        "discovery": int(hunt.discovery.sum()),
        "confirmation": int((~hunt.discovery).sum()),
    }


def _class_sets(targets: list[Targets]) -> dict[str, tuple[int, int]]:
    """Classes with each concept that is a set of several classes, of how many."""
    return {
        name: (int(own.sum()), len(own))
        for target in targets
        for name, own in target.spanning.items()
    }


def _stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
    if not tables:
        return pd.DataFrame(columns=list(BASELINE_COLUMNS))
    frame = pd.concat(tables, ignore_index=True)
    return frame.sort_values(["layer", "concept"], kind="stable")[
        list(BASELINE_COLUMNS)
    ].reset_index(drop=True)
