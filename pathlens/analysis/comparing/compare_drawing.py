"""The drawing of a comparison: gates over depth, rates of filters, classes that moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pathlens.analysis.drawing import FAINT, INK, PALETTE, house_style, new_figure, plain_text
from pathlens.analysis.results import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pathlens.analysis.comparing.compare import Comparison

_MOST_CLASSES = 24


def draw_comparison(comparison: Comparison) -> Figure:
    """Three panels side by side; one that has nothing to show says why."""
    with house_style():
        figure = new_figure(12.5, 4.2)
        depth, rates, classes = figure.subplots(1, 3)
        _draw_depth(depth, comparison)
        _draw_rates(rates, comparison.filters)
        _draw_classes(classes, comparison.classes)
        images = (
            f"the same {plural(comparison.images, 'image')}"
            if comparison.images
            else f"{comparison.images_a:,} and {plural(comparison.images_b, 'different image')}"
        )
        figure.suptitle(f"A against B over {images}", x=0.01, ha="left", size=10, weight="bold")
    return figure


def _say(axes: Axes, title: str, sentence: str) -> None:
    axes.axis("off")
    axes.set_title(title)
    axes.text(0, 0.95, sentence, va="top", transform=axes.transAxes)


def _legend(axes: Axes) -> None:
    """Below the panel, where it hides nothing."""
    axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.16), ncols=2, columnspacing=1.4)


def _draw_depth(axes: Axes, comparison: Comparison) -> None:
    """Equal gates beside those expected; without shared images, how far rates moved."""
    table = comparison.frame
    if comparison.filters.empty:
        _say(axes, "Layers", "No layer has the same name and size in both.")
        return
    axes.set_xlabel("layer, from input to output")
    if comparison.images:
        axes.plot(table["layer"], 100 * table["equal"], "o-", color=PALETTE[0], label="equal")
        axes.plot(
            table["layer"],
            100 * table["expected"],
            "s--",
            color=INK,
            markerfacecolor="white",
            label="expected from the rates alone",
        )
        axes.set(ylim=(min(45, 100 * table[["equal", "expected"]].min().min() - 3), 101))
        axes.set(ylabel="% of gates")
        _legend(axes)
    else:
        axes.plot(table["layer"], table["mean_difference"], "o-", color=PALETTE[0])
        axes.set(ylabel="mean |rate in B - rate in A|", ylim=(0, None))
    axes.set_title("Gates over depth")
    axes.locator_params(axis="x", integer=True)


def _draw_rates(axes: Axes, filters: pd.DataFrame) -> None:
    if filters.empty:
        _say(axes, "Filters", "No filter is in both.")
        return
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.9, zorder=0)
    changed = filters["changed"]
    for kept, marker, colour, label in (
        (~changed, "o", PALETTE[0], "same state"),
        (changed, "D", PALETTE[3], "another state"),
    ):
        part = filters[kept]
        axes.scatter(
            part["rate_a"],
            part["rate_b"],
            s=14,
            marker=marker,
            facecolors="none",
            edgecolors=colour,
            linewidths=0.9,
            alpha=0.8,
            label=f"{label} ({len(part):,})",
        )
    axes.set(xlabel="on-rate in A", ylabel="on-rate in B", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.set_title("Filters")
    _legend(axes)


def _draw_classes(axes: Axes, classes: pd.DataFrame) -> None:
    """How far rates of each class moved; without shared filters, how far its similarities did."""
    if classes.empty:
        _say(axes, "Classes", "No class is in both.")
        return
    filters_shared = bool(classes["rate_change"].notna().any())
    column = "rate_change" if filters_shared else "row_correlation"
    # Those that moved most come first: a large change, or a low correlation.
    shown = classes.sort_values(column, ascending=not filters_shared).head(_MOST_CLASSES)
    places = range(len(shown))
    axes.barh(places, shown[column], color=PALETTE[0], height=0.62, label="found")
    if filters_shared:
        chance = shown["rate_chance"]
        axes.scatter(chance, places, marker="|", s=90, c=INK, zorder=3, label="by chance alone")
        _legend(axes)
    axes.set_yticks(places, [plain_text(str(name), 22) for name in shown["class"]])
    axes.invert_yaxis()
    axes.set_xlabel(
        "mean |rate in B - rate in A| in the class"
        if filters_shared
        else "correlation of its similarities to other classes"
    )
    axes.set_title("Classes, most moved first")
