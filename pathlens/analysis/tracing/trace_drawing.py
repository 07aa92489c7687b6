"""The flow drawing of a trace: filters as nodes from input to output, co-activations as bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pathlens.analysis.drawing import (
    FAINT,
    INK,
    PALETTE,
    empty_figure,
    house_style,
    new_figure,
    plain_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pathlens.analysis.tracing.trace_result import Trace

# More layers than this are drawn in several rows, each starting with the last layer of the former.
_LAYERS_IN_ROW = 18
_MORE, _LESS = PALETTE[0], PALETTE[3]
_SMALLEST, _LARGEST = 28.0, 210.0  # areas of nodes at rate 0 and 1, in square points
_WIDEST = 7.0  # width of a link at phi 1, in points

# Where a filter's number stands: inside a large node, to the lower right of a small one.
_INSIDE: dict[str, Any] = {"ha": "center", "va": "center", "size": 6, "zorder": 4}
_BESIDE: dict[str, Any] = {
    "xytext": (4, -7),
    "textcoords": "offset points",
    "size": 6,
    "color": INK,
    "zorder": 4,
}

Places = dict[tuple[int, int], tuple[float, float]]


def draw_trace(trace: Trace, level: float) -> Figure:
    """Draw chosen filters and the links that hold, one band of layers below the other.

    Two classes stand one above the other, so that the same layer is at the same place.

    Args:
        trace: What to draw.
        level: Links and filters hold where their corrected p is below it.
    """
    nodes = trace.frame[trace.frame["chosen"]]
    if nodes.empty:
        return empty_figure(_title(trace), trace.summary())
    bands = _bands(list(trace.layers))
    slots = int(nodes.groupby(["class", "layer"]).size().max())
    # A last, shorter row keeps the distances of the rows above it.
    columns = max(len(band) for band in bands)
    rows = [(band, name) for band in bands for name in trace.classes]
    height = len(rows) * (0.32 * slots + 0.75) + 1.1
    with house_style():
        figure = new_figure(max(9.4, 1.6 + 0.56 * columns), height)
        panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        for axes, (band, name) in zip(panels, rows, strict=True):
            links = _links_that_hold(trace, name, level)
            _panel(axes, nodes[nodes["class"] == name], links, band, slots, level)
            axes.set_xlim(-0.6, columns - 0.4)
            if len(rows) > 1:
                axes.set_title(_name_of_panel(trace, band, name), size=9)
        panels[-1].set_xlabel("layer, from input to output", loc="left")
        figure.suptitle(_title(trace), x=0.01, ha="left", size=10, weight="bold")
        _legend(figure, trace)
    return figure


def _title(trace: Trace) -> str:
    if trace.image:
        subject = f"{plain_text(trace.image, 40)} (as {plain_text(trace.classes[0], 24)})"
    else:
        subject = " and ".join(plain_text(name, 24) for name in trace.classes)
    return f"Trace of {subject}: co-activation of filters, layer by layer"


def _name_of_panel(trace: Trace, band: Sequence[int], name: str) -> str:
    layers = f"layers {band[0]} to {band[-1]}" if len(band) < len(trace.layers) else ""
    several = plain_text(name, 40) if len(trace.classes) > 1 else ""
    return ", ".join(part for part in (several, layers) if part)


def _bands(layers: list[int]) -> list[list[int]]:
    """Layers in rows; each row begins with the last layer of the one before it."""
    if len(layers) <= _LAYERS_IN_ROW + 2:
        return [layers]
    count = -(-len(layers) // _LAYERS_IN_ROW)
    size = -(-len(layers) // count)
    return [layers[max(0, i * size - 1) : (i + 1) * size] for i in range(count)]


def _links_that_hold(trace: Trace, name: str, level: float) -> pd.DataFrame:
    links = trace.links
    return links[(links["class"] == name) & (links["p_corrected"] < level)]


def _panel(
    axes: Axes,
    nodes: pd.DataFrame,
    links: pd.DataFrame,
    band: Sequence[int],
    slots: int,
    level: float,
) -> None:
    places = _places(nodes, band, slots)
    _draw_links(axes, links, places)
    here = nodes[nodes["layer"].isin(band)]
    for row in here.to_dict("records"):
        _draw_node(axes, row, places[row["layer"], row["filter"]], level)
    axes.set_ylim(slots - 0.35, -0.65)
    axes.set_yticks([])
    axes.set_xticks(range(len(band)), [str(layer) for layer in band])
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _places(nodes: pd.DataFrame, band: Sequence[int], slots: int) -> Places:
    """Where each filter stands: its layer across, the largest difference on top, rows centred."""
    places = {}
    for x, layer in enumerate(band):
        part = nodes[nodes["layer"] == layer].sort_values("difference", ascending=False)
        start = (slots - len(part)) / 2
        for i, number in enumerate(part["filter"]):
            places[layer, int(number)] = (float(x), start + i)
    return places


def _draw_links(axes: Axes, links: pd.DataFrame, places: Places) -> None:
    from matplotlib.collections import LineCollection

    curves, widths = [], []
    columns = ["layer", "filter", "next_layer", "next_filter", "phi"]
    for layer, one, after, other, phi in links.sort_values("phi")[columns].to_numpy():
        if (layer, one) in places and (after, other) in places:
            curves.append(_curve(places[layer, one], places[after, other]))
            widths.append(0.8 + (_WIDEST - 0.8) * phi)
    axes.add_collection(
        LineCollection(curves, linewidths=widths, colors="#7F868D", alpha=0.75, zorder=1)
    )


def _curve(start: tuple[float, float], end: tuple[float, float]) -> Any:
    """An S that leaves and arrives level: float64 (points, 2)."""
    share = np.linspace(0, 1, 24)
    bend = share**2 * (3 - 2 * share)
    return np.column_stack(
        [start[0] + share * (end[0] - start[0]), start[1] + bend * (end[1] - start[1])]
    )


def _draw_node(
    axes: Axes, row: Mapping[Any, Any], place: tuple[float, float], level: float
) -> None:
    """A filter: circle or diamond by sign, size by rate, filled where the difference holds."""
    more, holds = row["difference"] >= 0, row["p_corrected"] < level
    colour = _MORE if more else _LESS
    area = _SMALLEST + (_LARGEST - _SMALLEST) * row["rate_in"]
    marker = "o" if more else "D"
    # A diamond of equal area looks larger than a circle.
    size = area if more else 0.72 * area
    if row["shared"]:
        axes.scatter(*place, s=2.1 * size, marker=marker, c="none", edgecolors=INK, linewidths=0.9)
    axes.scatter(
        *place,
        s=size,
        marker=marker,
        c=colour if holds else "white",
        edgecolors=colour,
        linewidths=1.2,
        zorder=2,
    )
    _draw_ablation(axes, row["ablation"], place)
    if row["rate_in"] > (0.3 if more else 0.5):
        axes.text(*place, str(row["filter"]), color="white" if holds else INK, **_INSIDE)
    else:
        axes.annotate(str(row["filter"]), place, **_BESIDE)


def _draw_ablation(axes: Axes, ablation: str, place: tuple[float, float]) -> None:
    if ablation == "confirmed":
        axes.scatter(*place, s=300, marker="s", c="none", edgecolors=INK, linewidths=1.8, zorder=3)
    elif ablation:
        axes.scatter(*place, s=300, marker="x", c=INK, linewidths=1.0, alpha=0.6, zorder=3)


def _legend(figure: Figure, trace: Trace) -> None:
    from matplotlib.lines import Line2D

    def key(marker: str, colour: str, fill: str, size: float, label: str) -> Line2D:
        return Line2D(
            [], [], ls="", marker=marker, color=colour, mfc=fill, ms=size, label=label, mew=1.2
        )

    whom = "the class" if len(trace.classes) == 1 else "this class"
    handles = [
        key("o", _MORE, _MORE, 10, f"on more often in {whom} than in the rest"),
        key("D", _LESS, _LESS, 8, "on less often"),
        key("o", INK, "white", 8, "hollow: difference not significant"),
        key("o", FAINT, FAINT, 5, "small: rarely on in the class"),
        Line2D([], [], color="#7F868D", lw=4, label="co-activated within the class (width: phi)"),
    ]
    if trace.frame["shared"].any():
        handles.append(key("o", INK, "none", 12, "ringed: shared by both classes"))
    if (trace.frame["ablation"] == "confirmed").any():
        handles.append(key("s", INK, "none", 11, "boxed: confirmed by ablation"))
    if (trace.frame["ablation"] == "not confirmed").any():
        handles.append(key("x", INK, "none", 8, "crossed: ablation did not confirm it"))
    figure.legend(handles=handles, loc="outside lower left", ncols=3, handletextpad=0.6)
