"""States within classes: filters that only the images of few classes are routed through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.counts import class_counts
from pathlens.analysis.drawing import empty_figure
from pathlens.analysis.results import Result, join_notes, plural
from pathlens.analysis.source import (
    Bits,
    Grouping,
    Ints,
    PathData,
    choose_several,
    describe_layers,
    grouping,
    require_images,
)
from pathlens.analysis.states.filter_states import STATES, fewest_images, require_tolerance
from pathlens.analysis.states.specialists import (
    Codes,
    Rule,
    random_deals,
    special_by_chance,
    specialist_table,
)
from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ClassStates(Result):
    """States of filters over the images of each class, and specialists: filters of few classes.

    Attributes:
        frame: A row a filter and class: layer, name, filter, class, rate (share of the class's images
            with the gate on), state (as of `filter_states`, over these images alone). name, class
            and state are categorical.
        by_filter: A row a filter: layer, name, filter, high_energy, mute, dynamic (numbers of
            classes in which it is that).
        specialists: A row a filter that is mute in all but 1 to `most_classes` classes, the least
            likely by chance first: layer, name, filter, classes (those where it is not mute, a tuple
            of names), rate (over the images of these), images (that have its gate on), chance (share
            of permutations in which this filter is a specialist too, the observed labels counted
            in).
        by_layer: A row a layer: layer, name, filters, specialists, by_chance and by_chance_95 (mean
            and 95 % quantile of their number when labels are permuted).
        null: int64 (permutations,), number of specialists under permuted labels.
        counts: Images per class.
        most_classes: Classes that a specialist runs in, at most.
        tolerance: Share of a class's images that may depart from a state.
        by: "label", or "prediction" where true classes are unknown.
        title: The layers, in words.
        left_out: Classes and images that could not be used, states that could not be shown.
    """

    frame: pd.DataFrame = field(repr=False)
    by_filter: pd.DataFrame = field(repr=False)
    specialists: pd.DataFrame = field(repr=False)
    by_layer: pd.DataFrame = field(repr=False)
    null: Ints = field(repr=False)
    counts: pd.Series[int]
    most_classes: int
    tolerance: float
    by: str
    title: str
    left_out: str

    @property
    def by_chance(self) -> float:
        """Mean number of specialists when the labels are permuted; not a number without any."""
        return float(self.null.mean()) if len(self.null) else float("nan")

    @property
    def p(self) -> float:
        """Share of permutations with as many specialists, the observed labels counted in."""
        return float((1 + (self.null >= len(self.specialists)).sum()) / (1 + len(self.null)))

    def summary(self) -> str:
        """Number of specialists, beside their number under permuted labels."""
        found = plural(len(self.specialists), "filter")
        text = (
            f"In {self.title}, {found} of {len(self.by_filter):,} "
            f"{'is' if len(self.specialists) == 1 else 'are'} mute in all but at most "
            f"{self.most_classes} of {plural(len(self.counts), 'class', 'classes')}"
        )
        if not len(self.null):
            return f"{text}; no permutation of the labels says how many there would be by chance."
        return (
            f"{text}; labels dealt out at random make {self.by_chance:.1f} on average (p = "
            f"{self.p:.2g}, {plural(len(self.null), 'permutation')})."
        )

    def plot(self) -> Figure:
        """Specialists of each layer beside their number by chance, and the classes they run in."""
        if self.specialists.empty and not self.null.any():
            return empty_figure(f"Specialists in {self.title}", self.summary())
        from pathlens.analysis.states.class_states_drawing import draw_specialists

        return draw_specialists(self)


def class_states(
    data: PathData,
    layers: Iterable[LayerSpec] | None = None,
    *,
    tolerance: float = 0.0,
    most_classes: int = 2,
    seed: int = 0,
    permutations: int = 50,
) -> ClassStates:
    """States of all filters within each class, and the filters that run in few classes only.

    Specialists are the extremes of many filters, and a filter that is on for a handful of images is
    one whatever the classes are: their number therefore stands beside the number under labels that
    were dealt out at random (class sizes stay).

    Args:
        data: A recording.
        layers: Layers by number, name or glob; all for None.
        tolerance: As of `filter_states`, over the images of each class.
        most_classes: Classes in which a specialist may be other than mute.
        seed: Seed of the permutations.
        permutations: Number of permutations of the labels.

    Raises:
        PathLensError: If a layer is unknown, neither labels nor predictions are known, or a number
            makes no sense.
    """
    require_images(data)
    require_tolerance(tolerance)
    chosen = choose_several(data, layers)
    groups = _require_classes(data, most_classes, permutations)
    names, codes, sizes = _present(groups)
    deals = random_deals(codes, seed, permutations)
    rule = Rule(sizes, tolerance, most_classes)
    on = [class_counts(data, layer, codes[None], len(names))[0] for layer in chosen]
    null = [
        special_by_chance(data, layer, one, deals, rule)
        for layer, one in zip(chosen, on, strict=True)
    ]
    counted, about = np.concatenate(on, axis=1), _filters(chosen)
    specialists = specialist_table(about, counted, rule, np.hstack(null), names)
    return ClassStates(
        frame=_frame(about, counted, names, rule),
        by_filter=_by_filter(about, counted, rule),
        specialists=specialists,
        by_layer=_by_layer(chosen, specialists, null),
        null=np.hstack(null).sum(axis=1),
        counts=pd.Series(sizes, index=names, name="images"),
        most_classes=most_classes,
        tolerance=tolerance,
        by=groups.by,
        title=describe_layers(data, chosen),
        left_out=_left_out(groups, len(names), sizes, tolerance),
    )


def _require_classes(data: PathData, most_classes: int, permutations: int) -> Grouping:
    groups = grouping(data)
    if groups is None:
        raise PathLensError(
            "The recording knows neither labels nor predictions, so there are no states within "
            "classes: record a labelled dataset, or one through a classifier."
        )
    if most_classes < 1 or permutations < 0:
        raise PathLensError(
            f"most_classes is {most_classes} and permutations {permutations}: give at least 1 and 0."
        )
    return groups


def _present(groups: Grouping) -> tuple[list[str], Codes, Ints]:
    """Classes that have images: their names, the class of each image (or -1) and their sizes."""
    sizes = np.bincount(groups.codes[groups.codes >= 0], minlength=len(groups.names))
    position = np.cumsum(sizes > 0) - 1
    codes = np.where(groups.codes >= 0, position[groups.codes], -1)
    names = [name for name, size in zip(groups.names, sizes, strict=True) if size]
    return names, codes.astype(np.min_scalar_type(-len(names) - 1)), sizes[sizes > 0]


def _filters(layers: Sequence[Layer]) -> pd.DataFrame:
    filters = [layer.filters for layer in layers]
    names = pd.Categorical([layer.name for layer in layers], [layer.name for layer in layers])
    return pd.DataFrame(
        {
            "layer": np.repeat([layer.index for layer in layers], filters),
            "name": names.repeat(filters),
            "filter": np.concatenate([np.arange(count) for count in filters]),
        }
    )


def _frame(about: pd.DataFrame, on: Ints, names: Sequence[str], rule: Rule) -> pd.DataFrame:
    classes = len(names)
    frame = about.loc[about.index.repeat(classes)].reset_index(drop=True)
    codes = np.tile(np.arange(classes), len(about))
    return frame.assign(
        **{"class": pd.Categorical.from_codes(codes, pd.Index(list(names)))},
        rate=(on / rule.sizes[:, None]).T.reshape(-1),
        state=pd.Categorical.from_codes(rule.states(on).T.reshape(-1), pd.Index(STATES)),
    )


def _by_filter(about: pd.DataFrame, on: Ints, rule: Rule) -> pd.DataFrame:
    states = rule.states(on)
    return about.assign(
        high_energy=(states == STATES.index("high-energy")).sum(axis=0),
        mute=(states == STATES.index("mute")).sum(axis=0),
        dynamic=(states == STATES.index("dynamic")).sum(axis=0),
    )


def _by_layer(
    layers: Sequence[Layer], specialists: pd.DataFrame, null: Sequence[Bits]
) -> pd.DataFrame:
    found = specialists["layer"].value_counts()
    numbers = [one.sum(axis=1) if len(one) else np.array([np.nan]) for one in null]
    return pd.DataFrame(
        {
            "layer": [layer.index for layer in layers],
            "name": [layer.name for layer in layers],
            "filters": [layer.filters for layer in layers],
            "specialists": [int(found.get(layer.index, 0)) for layer in layers],
            "by_chance": [float(one.mean()) for one in numbers],
            "by_chance_95": [float(np.quantile(one, 0.95)) for one in numbers],
        }
    )


def _left_out(groups: Grouping, present: int, sizes: Ints, tolerance: float) -> str:
    unknown = int((groups.codes < 0).sum())
    empty = len(groups.names) - present
    fewest = fewest_images(tolerance)
    small = int((sizes < fewest).sum())
    return join_notes(
        [
            "true classes (unknown: the predicted ones stand in)" * (groups.by == "prediction"),
            f"{plural(empty, 'class', 'classes')} without images" if empty else "",
            f"{plural(unknown, 'image')} of unknown class" if unknown else "",
            f"mute and high-energy filters of {plural(small, 'class', 'classes')} with fewer than "
            f"the {fewest:,} images that it takes to show them at tolerance {tolerance:g}"
            if small
            else "",
        ]
    )
