"""Class paths: how often each class has each gate on, and which classes travel alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.drawing import INK, heat_map, house_style, new_figure
from pathlens.analysis.results import Result, join_notes, plural
from pathlens.analysis.source import (
    Bits,
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

_CHUNK = 16_384


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
        linkage: Average linkage on 1 - similarity, as scipy gives it: float64 (classes - 1, 4).
        order: Class names in the order of the dendrogram's leaves.
        chance: Mean similarity of two classes when the same labels are dealt out at random.
        by: "label", or "prediction" where true classes are unknown.
        dynamic: Number of dynamic filters.
        title: The layers, in words.
        left_out: Classes and images that could not be used.
    """

    frame: pd.DataFrame = field(repr=False)
    rates: pd.DataFrame = field(repr=False)
    counts: pd.Series[int]
    similarity: pd.DataFrame = field(repr=False)
    linkage: Floats = field(repr=False)
    order: list[str] = field(repr=False)
    chance: float
    by: str
    dynamic: int
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
        near, far = int(values.argmax()), int(values.argmin())
        names = list(self.similarity.columns)
        return (
            f"In {self.title} the classes that travel most alike are {names[rows[near]]} and "
            f"{names[columns[near]]} (similarity {values[near]:.3f}), the least alike "
            f"{names[rows[far]]} and {names[columns[far]]} ({values[far]:.3f}), over "
            f"{plural(self.dynamic, 'dynamic filter')}; classes dealt out at random would have "
            f"{self.chance:.3f}."
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
    shuffled = _dealt_at_random(groups.codes, seed)
    sizes = np.bincount(groups.codes[groups.codes >= 0], minlength=len(groups.names))
    deals = np.stack([groups.codes, shuffled])
    counted = [class_counts(data.bits(one.name), deals, len(groups.names)) for one in layers]
    real, random = np.concatenate(counted, axis=2)
    return _result(groups, sizes, real, random, layers, describe_layers(data, layers))


def class_counts(bits: Bits, deals: Ints, classes: int) -> Ints:
    """Images of each class that have each gate on: int64 (deals, classes, filters).

    The sums go by chunks of images and read the bits once for all deals.

    Args:
        bits: bool (images, filters).
        deals: int64 (deals, images), class of each image in each way to deal classes out; negative
            ones are not counted.
        classes: Number of classes.
    """
    total = np.zeros((len(deals) * classes, bits.shape[1]), dtype=np.int64)
    for start in range(0, len(bits), _CHUNK):
        part = deals[:, None, start : start + _CHUNK]
        member = (part == np.arange(classes)[:, None]).astype(np.float32)
        # Whole numbers below 2^24 are exact in float32.
        on = bits[start : start + _CHUNK].astype(np.float32)
        total += (member.reshape(len(total), -1) @ on).astype(np.int64)
    return total.reshape(len(deals), classes, -1)


def _dealt_at_random(codes: Ints, seed: int) -> Ints:
    """The same codes, permuted among the images whose class is known."""
    known = codes >= 0
    dealt = codes.copy()
    dealt[known] = np.random.default_rng(seed).permutation(codes[known])
    return dealt


def _result(
    groups: Grouping,
    sizes: Ints,
    real: Ints,
    random: Ints,
    layers: Sequence[Layer],
    title: str,
) -> ClassPaths:
    present = sizes > 0
    names = [name for name, here in zip(groups.names, present, strict=True) if here]
    per_class = sizes[present][:, None]
    on = real.sum(axis=0)
    dynamic = (on > 0) & (on < sizes.sum())
    columns = _filter_names(layers)
    rates = pd.DataFrame(real[present] / per_class, index=names, columns=columns)
    rates.index.name, rates.columns.name = "class", "filter"
    similarity = _similarity(rates.to_numpy()[:, dynamic])
    linkage, order = _tree(similarity)
    return ClassPaths(
        frame=pd.DataFrame(
            {
                "class": np.repeat(names, len(columns)),
                "filter": columns * len(names),
                "rate": rates.to_numpy().reshape(-1),
            }
        ),
        rates=rates,
        counts=pd.Series(sizes[present], index=names, name="images"),
        similarity=pd.DataFrame(similarity, index=names, columns=names),
        linkage=linkage,
        order=[names[i] for i in order],
        chance=_mean_of_pairs(_similarity((random[present] / per_class)[:, dynamic])),
        by=groups.by,
        dynamic=int(dynamic.sum()),
        title=title,
        left_out=_left_out(groups, sizes),
    )


def _filter_names(layers: Sequence[Layer]) -> list[int] | list[str]:
    if len(layers) == 1:
        return list(range(layers[0].filters))
    return [f"{layer.index}:{i}" for layer in layers for i in range(layer.filters)]


def _similarity(rates: Floats) -> Floats:
    """1 - mean absolute difference of rows; 1 everywhere where there is no column."""
    if not rates.shape[1]:
        return np.ones((len(rates), len(rates)))
    from scipy.spatial.distance import cdist

    return np.asarray(1 - cdist(rates, rates, "cityblock") / rates.shape[1])


def _mean_of_pairs(similarity: Floats) -> float:
    pairs = similarity[np.triu_indices(len(similarity), 1)]
    return float(pairs.mean()) if len(pairs) else float("nan")


def _tree(similarity: Floats) -> tuple[Floats, list[int]]:
    """Average linkage with neighbouring leaves as alike as possible, and the leaf order."""
    if len(similarity) < 2:
        return np.zeros((0, 4)), list(range(len(similarity)))
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    distances = squareform(1 - similarity, checks=False)
    linkage = hierarchy.linkage(distances, "average", optimal_ordering=True)
    return np.asarray(linkage), [int(i) for i in hierarchy.leaves_list(linkage)]


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
