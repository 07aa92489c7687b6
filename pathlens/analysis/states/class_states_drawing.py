"""Specialists over depth, beside chance, and the classes that they run in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.drawing import INK, PALETTE, heat_map, house_style, new_figure, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pathlens.analysis.states.class_states import ClassStates


def draw_specialists(found: ClassStates) -> Figure:
    """Bars of specialists by layer with chance as marks, above classes × layers in which they run."""
    layers, classes = len(found.by_layer), len(found.counts)
    heights = (1.9, float(np.clip(0.19 * classes, 1.0, 7.0)))
    with house_style():
        width = float(np.clip(3.8 + 0.36 * layers, 5.6, 12))
        figure = new_figure(width, sum(heights) + 1.3)
        bars, matrix = figure.subplots(2, 1, height_ratios=heights)
        _draw_bars(bars, found)
        _draw_matrix(matrix, found)
        named = "" if found.by == "label" else " (classes as predicted)"
        within = f"mute in all but at most {found.most_classes} of {classes} classes{named}"
        figure.suptitle(
            f"Filters of {plain_text(found.title, 48)} {within}",
            x=0.01,
            ha="left",
            size=10,
            weight="bold",
        )
    return figure


def _draw_bars(axes: Axes, found: ClassStates) -> None:
    table = found.by_layer
    places = np.arange(len(table)) + 0.5
    axes.bar(places, table["specialists"], color=PALETTE[0], width=0.8, label="found")
    above = table["by_chance_95"] - table["by_chance"]
    axes.errorbar(
        places,
        table["by_chance"],
        yerr=np.stack([np.zeros(len(table)), above.clip(lower=0)]),
        fmt="o",
        color=INK,
        markerfacecolor="white",
        markersize=4.5,
        clip_on=False,
        linewidth=1,
        label="labels at random (mean, 95 %)",
    )
    axes.set(xlim=(0, len(table)), xticks=places, xticklabels=[])
    axes.tick_params(axis="x", length=0)
    axes.locator_params(axis="y", integer=True)
    axes.set_ylabel("filters")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)


def _draw_matrix(axes: Axes, found: ClassStates) -> None:
    from matplotlib.ticker import MaxNLocator

    layers, names = found.by_layer["layer"].tolist(), list(found.counts.index)
    each = found.specialists[["layer", "classes"]].explode("classes")
    counts = pd.crosstab(each["classes"], each["layer"]) if len(each) else pd.DataFrame()
    counts = counts.reindex(index=names, columns=layers, fill_value=0).astype(int)
    small = counts.size <= 600
    heat_map(
        axes,
        counts,
        rows=names,
        columns=[str(layer) for layer in layers],
        notes=counts.map(lambda count: f"{count}" if count else "").to_numpy() if small else None,
        limits=(0, max(1, int(counts.to_numpy().max()))),
        legend="specialists that run there",
    )
    bar = axes.collections[0].colorbar
    assert bar is not None
    bar.locator = MaxNLocator(integer=True, nbins=5)
    axes.set_xlabel("layer, from input to output")
