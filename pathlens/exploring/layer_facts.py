"""What is known of every filter of one layer before any image of it is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pathlens.analysis.source import Floats, Ints, PathData, grouping
from pathlens.analysis.states.class_states import class_states
from pathlens.analysis.states.filter_states import filter_states
from pathlens.layers import Layer

SIGNIFICANT = 0.05
"""Share of permutations that may make a filter a specialist which is marked as one."""


@dataclass(frozen=True)
class LayerFacts:
    """Filters of one layer, with their classes.

    Attributes:
        layer: The layer.
        frame: A row a filter, in their order: filter, rate (share of images with the gate on),
            rate_low, rate_high (95 % interval), state, spread (standard deviation of its rates in
            the classes, each class weighing as many images as it has; NaN where classes are
            unknown), spread_by_chance (what it would be if labels were dealt out at random),
            specialist (names of the one or two classes that it runs in; an empty tuple where it
            runs in more, or where permuted labels make it a specialist too), specialist_chance (share
            of permutations in which it is one, the observed labels counted in; NaN where it is none).
        class_rates: float64 (filters, classes), share of a class's images with the gate on.
        classes: Names of the classes that images have; empty if unknown.
        by: "label", "prediction" (true classes unknown) or "".
        images: Number of images.
    """

    layer: Layer
    frame: pd.DataFrame = field(repr=False)
    class_rates: Floats = field(repr=False)
    classes: tuple[str, ...]
    by: str
    images: int


def layer_facts(data: PathData, layer: Layer) -> LayerFacts:
    """Count one layer.

    The spread by chance is the root of the mean, over permutations of the labels, of the variance
    between K classes of n images: r (1 - r) (K - 1) / (n - 1) for a rate r.

    Args:
        data: A recording with at least one image.
        layer: One of its layers.
    """
    frame = filter_states(data, [layer.name]).frame.drop(columns=["layer", "name"])
    images = len(data.images)
    if grouping(data) is None:
        frame = frame.assign(spread=np.nan, spread_by_chance=np.nan)
        return LayerFacts(layer, _marked(frame, None), np.zeros((len(frame), 0)), (), "", images)
    found = class_states(data, [layer.name])
    sizes: Ints = np.asarray(found.counts, dtype=np.int64)
    rates = found.frame["rate"].to_numpy().reshape(len(frame), len(sizes))
    spread, chance = _spreads(rates, sizes)
    special = found.specialists[found.specialists["chance"] <= SIGNIFICANT]
    frame = _marked(frame.assign(spread=spread, spread_by_chance=chance), special)
    return LayerFacts(layer, frame, rates, tuple(found.counts.index), found.by, images)


def _spreads(rates: Floats, sizes: Ints) -> tuple[Floats, Floats]:
    """Spread of the rates (filters, classes) over classes, and by chance: float64 (filters,)."""
    known = sizes.sum()
    mean = rates @ sizes / known
    spread = np.sqrt((rates - mean[:, None]) ** 2 @ sizes / known)
    within = np.clip(mean * (1 - mean), 0, None)
    return spread, np.sqrt(within * (len(sizes) - 1) / max(known - 1, 1))


def _marked(frame: pd.DataFrame, special: pd.DataFrame | None) -> pd.DataFrame:
    """The frame with its columns about specialists, rows of `ClassStates.specialists`."""
    names: list[tuple[str, ...]] = [()] * len(frame)
    chance = np.full(len(frame), np.nan)
    for row in [] if special is None else special.to_dict("records"):
        names[row["filter"]], chance[row["filter"]] = row["classes"], row["chance"]
    marks = pd.Series(names, dtype=object, index=frame.index)
    return frame.assign(specialist=marks, specialist_chance=chance)
