"""Associations: combinations of filters that images with a concept are routed through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pathlens.analysis.associating.association_table import COLUMNS, Associations
from pathlens.analysis.associating.confirmation import confirm
from pathlens.analysis.associating.search import NO_FILTER, Found, search_layer
from pathlens.analysis.associating.targets import (
    Targets,
    class_targets,
    count_groups,
    split_halves,
    table_targets,
)
from pathlens.analysis.results import join_notes, plural
from pathlens.analysis.source import (
    Bits,
    PathData,
    choose_several,
    dynamic_columns,
    require_images,
)
from pathlens.analysis.statistics import holm
from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerSpec


def associations(
    data: PathData,
    layers: Iterable[LayerSpec] | None = None,
    concepts: pd.DataFrame | None = None,
    *,
    seed: int = 0,
    max_size: int = 2,
    top: int = 3,
    level: float = 0.05,
    resamples: int = 500,
) -> Associations:
    """Search combinations that go with concepts on one half of the images, test on the other.

    Concepts are all true classes (`class:<name>`) and those of a concept table; values that are shares
    count as on above the median of the positive discovery values. The search sees discovery images
    only. A pair of filters is kept only if its phi there beats that of its better member.

    Args:
        data: A recording.
        layers: Layers by number, name or glob; all for None.
        concepts: Columns image, concept, value; for None those of the recording, if it has any.
        seed: Seed of the split and of the bootstrap.
        max_size: Filters in a combination, at most: 1 or 2.
        top: Combinations tested for each concept and layer, at most.
        level: Chance of any false claim that is accepted, above 0 and below 1.
        resamples: Bootstrap samples; 0 for no intervals.

    Raises:
        PathLensError: If a layer is unknown, an option is out of range, the images cannot be split, or
            the concept table names no image of the recording.
    """
    _check(max_size, top, level, resamples)
    require_images(data)
    chosen = choose_several(data, layers)
    discovery = split_halves(data.images, seed)
    targets = _targets_of(data, concepts, discovery)
    hunt = _Hunt(data, discovery, targets, max_size, top, resamples, seed)
    hunted = [hunt.layer(layer) for layer in chosen]
    frame = _frame([part for one in hunted for part in one.parts], level)
    still = [x.name for x, one in zip(chosen, hunted, strict=True) if not one.filters]
    return Associations(
        frame=frame,
        searched={
            "layers": len(chosen),
            "filters": sum(one.filters for one in hunted),
            "candidates": sum(one.candidates for one in hunted),
            "concepts": sum(len(target.names) for target in targets),
            "tested": len(frame),
            "discovery": int(discovery.sum()),
            "confirmation": int((~discovery).sum()),
        },
        within_class=tuple(name for target in targets for name in target.within_class),
        level=level,
        left_out=_left_out(data, targets, discovery, still),
    )


@dataclass(frozen=True)
class _Hunted:
    """What one layer gave."""

    filters: int
    candidates: int
    parts: list[pd.DataFrame]


@dataclass(frozen=True)
class _Hunt:
    """Search and confirmation, the same for every layer."""

    data: PathData
    discovery: Bits
    targets: list[Targets]
    max_size: int
    top: int
    resamples: int
    seed: int

    def layer(self, layer: Layer) -> _Hunted:
        """Search one layer and test what was found there."""
        bits = self.data.bits(layer.name)
        parts, candidates = [], 0
        for number, target in enumerate(self.targets):
            found = search_layer(
                bits[target.discovery], target.found, max_size=self.max_size, top=self.top
            )
            candidates += found.candidates
            # By layer, so that its intervals do not depend on which others are looked at.
            rng = np.random.default_rng([self.seed, layer.index, number])
            tested = confirm(
                bits[target.confirmation], target.tested, found, resamples=self.resamples, rng=rng
            )
            parts.append(_named(tested, layer, target, found))
        filters = int(dynamic_columns(bits[self.discovery]).sum())
        return _Hunted(filters, candidates, [part for part in parts if len(part)])


def _targets_of(data: PathData, concepts: pd.DataFrame | None, discovery: Bits) -> list[Targets]:
    table = data.concepts() if concepts is None else concepts
    classes = class_targets(data, discovery)
    named = None if table is None else table_targets(data, table, discovery)
    return [target for target in (classes, named) if target is not None]


def _named(tested: pd.DataFrame, layer: Layer, target: Targets, found: Found) -> pd.DataFrame:
    """Put layer, combination and concept beside the numbers."""
    return tested.assign(
        layer=layer.index,
        name=layer.name,
        combination=["+".join(str(i) for i in row if i != NO_FILTER) for row in found.members],
        concept=[target.names[i] for i in found.concept],
        phi_discovery=found.phi,
    )


def _frame(parts: list[pd.DataFrame], level: float) -> pd.DataFrame:
    """All rows in their order, corrected together."""
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS)).astype({"confirmed": bool})
    frame = pd.concat(parts, ignore_index=True)
    frame["p_corrected"] = holm(frame["p"].to_numpy())
    frame["confirmed"] = frame["p_corrected"] <= level
    frame = frame.sort_values(["layer", "p", "phi"], ascending=[True, True, False], kind="stable")
    return frame[list(COLUMNS)].reset_index(drop=True)


def _left_out(data: PathData, targets: list[Targets], discovery: Bits, still: list[str]) -> str:
    groups = count_groups(data.images)
    missing = [] if targets else ["everything (neither labels nor a concept table are known)"]
    unknown = [
        f"{plural(absent, 'image')} that the concept table does not name"
        for absent in (
            len(discovery) - len(t.discovery) - len(t.confirmation)
            for t in targets
            if not t.of_classes
        )
        if absent
    ]
    shown = ", ".join(still[:8]) + (", ..." if len(still) > 8 else "")
    layers = f"{plural(len(still), 'layer')} without dynamic filters ({shown})"
    grouped = (
        f"dependence within {groups:,} groups of images (whole groups are on one side, but p and "
        "intervals take images as independent)"
    )
    return join_notes(
        [
            *missing,
            *(note for target in targets for note in target.left_out),
            *unknown,
            layers if still else "",
            grouped if groups else "",
        ]
    )


def _check(max_size: int, top: int, level: float, resamples: int) -> None:
    if max_size not in (1, 2):
        raise PathLensError(f"max_size is {max_size}: combinations have 1 or 2 filters.")
    if top < 1:
        raise PathLensError(f"top is {top}: ask for at least 1 combination.")
    if not 0 < level < 1:
        raise PathLensError(f"level is {level}: give a number between 0 and 1, such as 0.05.")
    if resamples < 0:
        raise PathLensError(f"resamples is {resamples}: give 0 (no intervals) or more.")
