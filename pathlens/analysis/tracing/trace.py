"""Trace: how a class, or one image, travels through the filters from layer to layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pathlens.analysis.associating.targets import count_groups, split_halves
from pathlens.analysis.baselines import OWN, matched
from pathlens.analysis.results import join_notes, plural
from pathlens.analysis.source import (
    Bits,
    Floats,
    PathData,
    choose_several,
    describe_layers,
    require_images,
)
from pathlens.analysis.statistics import holm
from pathlens.analysis.tracing.trace_aim import Aim, ablation_marks, find_aim
from pathlens.analysis.tracing.trace_filters import Contrast, Tracer, contrast
from pathlens.analysis.tracing.trace_result import LEVEL, Trace
from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerSpec


def trace(
    data: PathData,
    of: int | str,
    *,
    against: int | str | None = None,
    layers: Iterable[LayerSpec] | None = None,
    filters_per_layer: int = 6,
    seed: int = 0,
    permutations: int = 99,
    baselines: Mapping[str, PathData] | None = None,
    confirmed: pd.DataFrame | None = None,
) -> Trace:
    """Follow a class from layer to layer: which filters set it apart, and which go together.

    In each layer the filters are chosen whose rate in the class differs most from the rest. Those
    of neighbouring layers are linked by how often they are on together beyond chance within the
    class. The layers are read one by one.

    Args:
        data: A recording.
        of: A class (name or number from 0), or the id of an image, which is followed as one of the
            class it was predicted as.
        against: A second class, to be seen beside the first; each is held against all other images.
        layers: Layers by number, name or glob; all for None. Neighbours are those that follow one
            another among them.
        filters_per_layer: Filters chosen in a layer, at most.
        seed: Seed of the split of the images and of the permutations.
        permutations: Number of permuted labellings behind the scores.
        baselines: Recordings of the same images and layers, by the name that the scores give them.
        confirmed: What ablations have shown: columns layer (number or name), filter, confirmed
            (bool); the figure marks those filters.

    Raises:
        PathLensError: If a layer, class, image or ablated filter is unknown, classes are unknown,
            or a half of the images holds too few of the class.
    """
    _check(filters_per_layer, permutations)
    require_images(data)
    chosen = choose_several(data, layers)
    aim = find_aim(data, of, against)
    marks = ablation_marks(confirmed, data.layers)
    discovery = split_halves(data.images, seed)
    contrasts = [
        contrast(name, inside, aim.known, discovery, permutations, seed)
        for name, inside in zip(aim.names, aim.members, strict=True)
    ]
    codes = matched(data, baselines)
    flows = {
        code: _follow(source, chosen, contrasts, filters_per_layer, aim.row)
        for code, source in codes.items()
    }
    frame, links = flows[OWN].frame, flows[OWN].links
    keys = zip(frame["layer"], frame["filter"], strict=True)
    return Trace(
        frame=frame.assign(ablation=[marks.get(key, "") for key in keys]),
        links=links,
        scores=pd.concat([_scores(code, flow) for code, flow in flows.items()], ignore_index=True),
        classes=aim.names,
        image=aim.image,
        by=aim.by,
        layers={layer.index: layer.name for layer in chosen},
        images=int(contrasts[0].known[1].sum()),
        title=describe_layers(data, chosen),
        left_out=_left_out(data, aim),
    )


def _check(filters_per_layer: int, permutations: int) -> None:
    if filters_per_layer < 1:
        raise PathLensError(f"filters_per_layer is {filters_per_layer}: give at least 1.")
    if permutations < 1:
        raise PathLensError(f"permutations is {permutations}: give at least 1.")


@dataclass(frozen=True)
class _Flow:
    """A trace through one code; `tops` is float64 (1 + permutations,) by class."""

    frame: pd.DataFrame
    links: pd.DataFrame
    tops: dict[str, Floats]
    tested: dict[str, tuple[int, int]]


def _follow(
    source: PathData,
    layers: Sequence[Layer],
    contrasts: Sequence[Contrast],
    per_layer: int,
    row: int | None,
) -> _Flow:
    """Show the layers to all tracers, one by one, and correct over everything they tested."""
    tracers = [Tracer(one, per_layer) for one in contrasts]
    allowed: list[Bits] = []
    for layer in layers:
        bits = source.bits(layer.name)
        allowed.append(np.ones(layer.filters, dtype=np.bool_) if row is None else bits[row])
        for tracer in tracers:
            tracer.see(layer, bits, allowed[-1])
    frame = pd.concat([part for one in tracers for part in one.filters], ignore_index=True)
    links = pd.concat([one.all_links() for one in tracers], ignore_index=True)
    frame = _corrected(frame, _varies(frame))
    links = _corrected(links, np.ones(len(links), dtype=np.bool_))
    frame["shared"] = _shared(frame)
    tested = {
        one.contrast.name: (
            int(_varies(frame[frame["class"] == one.contrast.name]).sum()),
            int((links["class"] == one.contrast.name).sum()),
        )
        for one in tracers
    }
    tops = {one.contrast.name: np.stack(one.tops).max(axis=0) for one in tracers}
    shown = np.tile(np.concatenate(allowed), len(tracers))
    return _Flow(frame[shown].reset_index(drop=True), links, tops, tested)


def _shared(frame: pd.DataFrame) -> Bits:
    """Filters drawn for both classes whose rates differ from the rest the same way in both."""
    holds = frame["chosen"] & (frame["p_corrected"] < LEVEL)
    way = np.sign(frame["difference"]).where(holds, 0)
    both = way.groupby([frame["layer"], frame["filter"]]).transform("sum")
    return np.asarray(both.abs() > 1, dtype=np.bool_)


def _varies(frame: pd.DataFrame) -> Bits:
    """Filters that are neither on nor off for all images; the others cannot differ in rate."""
    both = frame["rate_in"] + frame["rate_out"]
    return np.asarray((both > 0) & (both < 2), dtype=np.bool_)


def _corrected(table: pd.DataFrame, tested: Bits) -> pd.DataFrame:
    corrected = np.ones(len(table))
    corrected[tested] = holm(table["p"].to_numpy(dtype=np.float64)[tested])
    return table.assign(p_corrected=corrected)


def _scores(code: str, flow: _Flow) -> pd.DataFrame:
    rows = []
    for name, tops in flow.tops.items():
        filters = flow.frame[flow.frame["class"] == name]
        links = flow.links[flow.links["class"] == name]
        null = tops[1:]
        rows.append(
            {
                "code": code,
                "class": name,
                "filters": int((filters["p_corrected"] < LEVEL).sum()),
                "tested_filters": flow.tested[name][0],
                "links": int((links["p_corrected"] < LEVEL).sum()),
                "tested_links": flow.tested[name][1],
                "top_difference": float(tops[0]),
                "chance_mean": float(null.mean()),
                "chance_95": float(np.quantile(null, 0.95)),
                "p": (1 + int((null >= tops[0] - 1e-12).sum())) / (1 + len(null)),
            }
        )
    return pd.DataFrame(rows)


def _left_out(data: PathData, aim: Aim) -> str:
    unknown = len(aim.known) - int(aim.known.sum()) - (aim.row is not None)
    groups = count_groups(data.images)
    return join_notes(
        [
            "true classes (unknown: the predicted ones stand in)"
            * (aim.by == "prediction" and not aim.image),
            f"{plural(unknown, 'image')} of unknown class" if unknown else "",
            f"the likeness of images within {plural(groups, 'group')}, which p takes for "
            "independent"
            if groups
            else "",
        ]
    )
