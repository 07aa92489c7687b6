"""Class paths: how often each class has each gate on, and which classes travel alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.classes.class_similarity import (
    differences_of,
    mean_similarity,
    similarity_from,
    tree,
)
from pathlens.analysis.counts import class_counts
from pathlens.analysis.drawing import INK, heat_map, house_style, new_figure
from pathlens.analysis.results import Result, join_notes, plural
from pathlens.analysis.source import (
    Floats,
    Grouping,
    Ints,
    PathData,
    choose_layers,
    describe_layers,
    grouping,
    require_images,
)
from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ClassPaths(Result):
    """Class-conditional gate rates and how alike they are.

    Attributes:
        frame: A row a class and filter: class, filter, rate (share of the class's images with the
            gate on). With several layers, filter is "layer:filter".
        rates: The same as a table, classes × filters.
        counts: Images per class.
        similarity: Classes × classes: 1 - mean absolute difference of their rates over the dynamic
            filters (mute and high-energy ones are equal for all and would inflate it).
        similarity_all: The same over all filters.
        by_layer: A row a layer: layer, name, filters, dynamic (numbers of filters), similarity and
            similarity_all (means over pairs of classes), chance and chance_all (the same when labels
            are dealt out at random).
        linkage: Average linkage on 1 - similarity, as scipy gives it: float64 (classes - 1, 4).
        order: Class names in the order of the dendrogram's leaves.
        chance: Mean similarity of two classes when the same labels are dealt out at random.
        chance_all: The same over all filters.
        by: "label", or "prediction" where true classes are unknown.
        dynamic: Number of dynamic filters.
        differences: float64 (layers, pairs of classes), sums over the filters of each layer of the
            absolute difference of the rates of two classes; pairs as scipy's `squareform` has them.
        title: The layers, in words.
        left_out: Classes and images that could not be used.
    """

    frame: pd.DataFrame = field(repr=False)
    rates: pd.DataFrame = field(repr=False)
    counts: pd.Series[int]
    similarity: pd.DataFrame = field(repr=False)
    similarity_all: pd.DataFrame = field(repr=False)
    by_layer: pd.DataFrame = field(repr=False)
    linkage: Floats = field(repr=False)
    order: list[str] = field(repr=False)
    chance: float
    chance_all: float
    by: str
    dynamic: int
    differences: Floats = field(repr=False)
    title: str
    left_out: str

    def summary(self) -> str:
        """The most and the least alike pair of classes, beside chance."""
        if len(self.counts) < 2:
            return f"All images of {self.title} are of one class: there is nothing to compare."
        if not self.dynamic:
            return f"No filter of {self.title} is dynamic, so that all classes have the same path."
        rows, columns = np.triu_indices(len(self.counts), 1)
        values = self.similarity.to_numpy()[rows, columns]
        over_all = self.similarity_all.to_numpy()[rows, columns]
        near, far = int(values.argmax()), int(values.argmin())
        names = list(self.similarity.columns)
        return (
            f"In {self.title} the classes that travel most alike are {names[rows[near]]} and "
            f"{names[columns[near]]} (similarity {values[near]:.3f}), the least alike "
            f"{names[rows[far]]} and {names[columns[far]]} ({values[far]:.3f}), over "
            f"{plural(self.dynamic, 'dynamic filter')}; classes dealt out at random would have "
            f"{self.chance:.3f}. Over all {plural(self.rates.shape[1], 'filter')} these are "
            f"{over_all[near]:.3f}, {over_all[far]:.3f} and {self.chance_all:.3f}."
        )

    def similarity_in(self, layer: int) -> pd.DataFrame:
        """Similarity over the dynamic filters of one of the layers: classes × classes.

        Args:
            layer: Its number, as in `by_layer`.

        Raises:
            PathLensError: If the layer is not one of those compared.
        """
        numbers = self.by_layer["layer"].tolist()
        if layer not in numbers:
            raise PathLensError(
                f"Layer {layer} is not among those of these class paths: choose one of "
                f"{', '.join(map(str, numbers[:12]))}{', ...' * (len(numbers) > 12)}."
            )
        place = numbers.index(layer)
        filters = int(self.by_layer["dynamic"].iloc[place])
        return _named(
            similarity_from(self.differences[place], filters), list(self.similarity.index)
        )

    def plot(self) -> Figure:
        """Heat map of similarity in the order of the dendrogram beside it."""
        classes = len(self.order)
        side = min(9.0, 2.0 + 0.36 * classes)
        with house_style():
            figure = new_figure(side + 2.6, side + 0.4)
            tree, matrix = figure.subplots(1, 2, width_ratios=[0.22, 1])
            self._dendrogram(tree)
            values = self.similarity.loc[self.order, self.order]
            low = float(np.floor(20 * values.to_numpy().min()) / 20)
            notes = np.vectorize(_two_digits)(values.to_numpy()) if classes <= 14 else None
            heat_map(
                matrix,
                values,
                rows=self.order,
                columns=self.order,
                notes=notes,
                limits=(min(low, 0.95), 1.0),
                legend="similarity of class paths",
            )
            named = "" if self.by == "label" else " (classes as predicted)"
            figure.suptitle(
                f"Class paths of {self.title}{named}", x=0.01, ha="left", size=10, weight="bold"
            )
        return figure

    def _dendrogram(self, axes: Axes) -> None:
        axes.axis("off")
        if not len(self.linkage):
            return
        from scipy.cluster.hierarchy import dendrogram

        drawn = dendrogram(self.linkage, no_plot=True)
        for depths, places in zip(drawn["dcoord"], drawn["icoord"], strict=True):
            # scipy puts leaf i at 10 i + 5; the heat map puts row i at i + 0.5.
            axes.plot(depths, np.asarray(places) / 10, color=INK, linewidth=0.9)
        axes.set_ylim(len(self.order), 0)
        axes.invert_xaxis()


def class_paths(data: PathData, layer: LayerSpec | None = None, *, seed: int = 0) -> ClassPaths:
    """Gate rates of every class in a layer, their similarity and their dendrogram.

    Args:
        data: A recording.
        layer: Number, name or glob; None for the whole network.
        seed: Seed of the random deal of labels that `chance` comes from.

    Raises:
        PathLensError: If a layer is unknown, or neither labels nor predictions are known.
    """
    require_images(data)
    layers = choose_layers(data, layer)
    groups = grouping(data)
    if groups is None:
        raise PathLensError(
            "The recording knows neither labels nor predictions, so there are no class paths: "
            "record a labelled dataset, or one through a classifier."
        )
    deals = np.stack([groups.codes, _dealt_at_random(groups.codes, seed)])
    counted = [class_counts(data, one, deals, len(groups.names)) for one in layers]
    return _result(groups, counted, layers, describe_layers(data, layers))


def _dealt_at_random(codes: Ints, seed: int) -> Ints:
    """The same codes, permuted among the images whose class is known."""
    known = codes >= 0
    dealt = codes.copy()
    dealt[known] = np.random.default_rng(seed).permutation(codes[known])
    return dealt


def _result(
    groups: Grouping, counted: Sequence[Ints], layers: Sequence[Layer], title: str
) -> ClassPaths:
    sizes = np.bincount(groups.codes[groups.codes >= 0], minlength=len(groups.names))
    present = sizes > 0
    names = [name for name, here in zip(groups.names, present, strict=True) if here]
    rates = _rate_table([one[0] for one in counted], sizes, names, layers)
    real, random = (differences_of([one[deal] for one in counted], sizes) for deal in range(2))
    by_layer = _by_layer(layers, [one[0] for one in counted], int(sizes.sum()), real, random)
    dynamic, filters = int(by_layer["dynamic"].sum()), rates.shape[1]
    similarity = similarity_from(real.sum(axis=0), dynamic)
    linkage, order = tree(similarity)
    return ClassPaths(
        frame=_frame(rates),
        rates=rates,
        counts=pd.Series(sizes[present], index=names, name="images"),
        similarity=_named(similarity, names),
        similarity_all=_named(similarity_from(real.sum(axis=0), filters), names),
        by_layer=by_layer,
        linkage=linkage,
        order=[names[i] for i in order],
        chance=float(mean_similarity(random.sum(axis=0), dynamic)),
        chance_all=float(mean_similarity(random.sum(axis=0), filters)),
        by=groups.by,
        dynamic=dynamic,
        differences=real,
        title=title,
        left_out=_left_out(groups, sizes),
    )


def _rate_table(
    counted: Sequence[Ints], sizes: Ints, names: Sequence[str], layers: Sequence[Layer]
) -> pd.DataFrame:
    present = sizes > 0
    rates = np.concatenate(counted, axis=1)[present] / sizes[present][:, None]
    table = pd.DataFrame(rates, index=list(names), columns=_filter_names(layers))
    table.index.name, table.columns.name = "class", "filter"
    return table


def _frame(rates: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "class": np.repeat(rates.index.to_numpy(), rates.shape[1]),
            "filter": np.tile(rates.columns.to_numpy(), len(rates)),
            "rate": rates.to_numpy().reshape(-1),
        }
    )


def _by_layer(
    layers: Sequence[Layer], counted: Sequence[Ints], images: int, real: Floats, random: Floats
) -> pd.DataFrame:
    on = [one.sum(axis=0) for one in counted]
    filters = np.array([layer.filters for layer in layers])
    dynamic = np.array([int(((one > 0) & (one < images)).sum()) for one in on])
    return pd.DataFrame(
        {
            "layer": [layer.index for layer in layers],
            "name": [layer.name for layer in layers],
            "filters": filters,
            "dynamic": dynamic,
            "similarity": mean_similarity(real, dynamic),
            "similarity_all": mean_similarity(real, filters),
            "chance": mean_similarity(random, dynamic),
            "chance_all": mean_similarity(random, filters),
        }
    )


def _filter_names(layers: Sequence[Layer]) -> list[int] | list[str]:
    if len(layers) == 1:
        return list(range(layers[0].filters))
    return [f"{layer.index}:{i}" for layer in layers for i in range(layer.filters)]


def _named(similarity: Floats, names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(similarity, index=list(names), columns=list(names))


def _left_out(groups: Grouping, sizes: Ints) -> str:
    empty = [name for name, size in zip(groups.names, sizes, strict=True) if not size]
    unknown = int((groups.codes < 0).sum())
    shown = ", ".join(empty[:8]) + (", ..." if len(empty) > 8 else "")
    return join_notes(
        [
            "true classes (unknown: the predicted ones stand in)" * (groups.by == "prediction"),
            f"{plural(len(empty), 'class', 'classes')} without images ({shown})" if empty else "",
            f"{plural(unknown, 'image')} of unknown class" if unknown else "",
        ]
    )


def _two_digits(value: float) -> str:
    return f"{value:.2f}".lstrip("0")
