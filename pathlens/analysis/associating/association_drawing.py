"""The figure of a table of associations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pathlens.analysis.associating.association_table import Associations, filters_text
from pathlens.analysis.drawing import FAINT, INK, PALETTE, house_style, new_figure
from pathlens.analysis.drawing import plain_text as plain
from pathlens.analysis.results import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS_DRAWN = 16
_BASELINE_MARKERS = ("s", "^", "v", "X", "P")
_OPEN: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": INK, "linestyle": "none"}


def draw(found: Associations) -> Figure:
    """Phi of the best row of each concept, beside the search, simpler rivals and baselines.

    Args:
        found: The table; not empty.
    """
    held = found.confirmed
    ranked = (held if len(held) else found.frame).sort_values("phi", ascending=False, kind="stable")
    drawn = ranked.drop_duplicates("concept").head(ROWS_DRAWN)
    with house_style():
        figure = new_figure(8.4, 1.9 + 0.27 * len(drawn))
        axes = figure.add_subplot()
        _draw_rows(axes, drawn, PALETTE[0] if len(held) else PALETTE[-1])
        _draw_baselines(axes, drawn, found.baselines)
        title = f"Best of {plural(len(held), 'confirmed association')}, concept by concept"
        axes.set_title(title if len(held) else "Nothing is confirmed; the best tries")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _draw_rows(axes: Axes, drawn: pd.DataFrame, colour: str) -> None:
    places = np.arange(len(drawn))
    axes.axvline(0, color=FAINT, linewidth=1)
    axes.hlines(places, drawn["phi_ci_low"], drawn["phi_ci_high"], color=colour, linewidth=2)
    axes.plot(drawn["phi"], places, "o", color=colour, label="confirmation images, 95 % interval")
    promised = drawn["phi_discovery"]
    axes.plot(promised, places, marker="d", markersize=5, label="discovery images", **_OPEN)
    single = drawn["phi"] - drawn["gain_over_best_single"]
    axes.plot(single, places, marker="|", markersize=9, label="best single filter alone", **_OPEN)
    probe = drawn["sparse_probe_phi"]
    axes.plot(probe, places, marker="x", markersize=5, label="probe of as many filters", **_OPEN)
    labels = [
        f"{plain(row['concept'], 30)}  ·  layer {row['layer']}, {filters_text(row['combination'])}"
        for row in drawn.to_dict("records")
    ]
    axes.set_yticks(places, labels)
    axes.set(ylim=(len(drawn) - 0.4, -0.6), xlabel="phi: agreement of combination and concept")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _draw_baselines(axes: Axes, drawn: pd.DataFrame, baselines: pd.DataFrame) -> None:
    """What other codes of the same images reach, a mark a baseline."""
    keys = ["layer", "combination", "concept"]
    places = drawn[keys].assign(place=np.arange(len(drawn)))
    named = baselines.merge(places, on=keys) if len(baselines) else baselines
    for number, (name, rows) in enumerate(named.groupby("baseline", sort=False)):
        axes.plot(
            rows["phi"],
            rows["place"],
            marker=_BASELINE_MARKERS[number % len(_BASELINE_MARKERS)],
            markersize=4.5,
            linestyle="none",
            color=PALETTE[1 + number % (len(PALETTE) - 1)],
            label=f"baseline {plain(str(name), 28)}",
        )
