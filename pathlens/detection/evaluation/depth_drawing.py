"""The figure of where in depth altered images leave the class path of their true class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.baselines import OWN
from pathlens.analysis.drawing import (
    FAINT,
    INK,
    PALETTE,
    empty_figure,
    house_style,
    new_figure,
    plain_text,
)
from pathlens.detection.evaluation.cells import CLEAN
from pathlens.detection.evaluation.depth import PREDICTED, TRUE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOK = {PREDICTED: (PALETTE[3], "o"), TRUE: (PALETTE[0], "s")}
_WORDS = {PREDICTED: "to the class it is taken for", TRUE: "to its true class"}
MOST_PANELS = 24


def draw_depth(depth: pd.DataFrame, crossings: pd.DataFrame) -> Figure:
    """A panel an altered set: mean standardised distance to two class paths over layers.

    At most `MOST_PANELS` sets are drawn.
    """
    own = depth[depth["code"] == OWN]
    names = [x for x in dict.fromkeys(own["altered"]) if x != CLEAN][:MOST_PANELS]
    if not names:
        return empty_figure("Distance to class paths", "There is no altered image to measure.")
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    with house_style():
        figure = new_figure(max(2.5 * columns + 0.6, 5.0), 2.1 * lines + 1.0)
        panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        for axes in panels.ravel()[len(names) :]:
            axes.axis("off")
        for place, (axes, name) in enumerate(zip(panels.ravel(), names, strict=False)):
            _panel(axes, own, name, crossings[crossings["code"] == OWN])
            if place + columns >= len(names):
                axes.set_xlabel("layer")
                axes.tick_params(labelbottom=True)
        figure.supylabel("distance to class path\n(clean images: mean 0, spread 1)", fontsize=9)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _panel(axes: Axes, depth: pd.DataFrame, name: str, crossings: pd.DataFrame) -> None:
    from matplotlib.ticker import MaxNLocator

    clean = depth[(depth["altered"] == CLEAN) & (depth["path_of"] == PREDICTED)]
    axes.plot(
        clean["layer"], clean["distance"], color="#888888", linewidth=1.2, label="clean images"
    )
    for path_of, (colour, marker) in _LOOK.items():
        rows = depth[(depth["altered"] == name) & (depth["path_of"] == path_of)]
        axes.fill_between(rows["layer"], rows["low"], rows["high"], color=colour, alpha=0.2, lw=0)
        axes.plot(
            rows["layer"],
            rows["distance"],
            color=colour,
            marker=marker,
            markersize=3,
            linewidth=1.4,
            label=_WORDS[path_of],
        )
    _mark_crossing(axes, crossings[crossings["altered"] == name])
    count = int(depth.loc[depth["altered"] == name, "n"].iloc[0])
    axes.set_title(f"{plain_text(name, 20)} (n = {count:,})", fontsize=9, pad=14)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _mark_crossing(axes: Axes, rows: pd.DataFrame) -> None:
    """A band from where to where in depth the images go over to the other class."""
    if rows.empty:
        return
    row = rows.iloc[0]
    said = "nearer to its true class in the last layer"
    if not np.isnan(row["layer"]):
        said = f"over to the other class from layer {row['layer']:.0f} on"
        axes.axvline(row["layer"], color=INK, linewidth=0.8, linestyle=":", zorder=1)
        if not np.isnan(row["low"]):
            low, high = row["low"] - 0.5, row["high"] + 0.5
            axes.axvspan(low, high, color=FAINT, alpha=0.45, lw=0, zorder=0)
    axes.text(0, 1.02, said, transform=axes.transAxes, va="bottom", fontsize=7)
