"""Figures of what paths say about the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pathlens.analysis.baselines import OWN
from pathlens.analysis.drawing import FAINT, INK, class_marks, house_style, new_figure, plain_text
from pathlens.analysis.information.path_measures import BOUND, NEAREST, NEIGHBOURS, RATIO

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS = {
    BOUND: ("Lower bound of information", "bits about the class"),
    NEAREST: (f"Class named by {NEIGHBOURS} nearest", "% of images"),
    RATIO: ("Between / within classes", "inter / intra Hamming"),
}


def draw_information(frame: pd.DataFrame, entropy: float, title: str) -> Figure:
    """Bound, kNN accuracy and ratio of distances: over depth, or code by code for one layer.

    Args:
        frame: As `PathInformation.frame`, not empty.
        entropy: Entropy of the class in bits.
        title: Heading of the figure.
    """
    deep = frame["layer"].nunique() > 1
    codes = list(dict.fromkeys(frame["code"]))
    with house_style():
        size = (12.0, 3.4) if deep else (10.0, 1.7 + 0.28 * len(codes))
        figure = new_figure(*size)
        panels = figure.subplots(1, 3)
        for axes, (measure, (heading, unit)) in zip(panels, _PANELS.items(), strict=True):
            part = frame[frame["measure"] == measure].copy()
            if measure == NEAREST:
                part[["value", "low", "high", "null"]] *= 100
            axes.set_title(heading)
            (_over_depth if deep else _by_code)(axes, part, codes, unit)
        _entropy_line(panels[0], entropy, deep)
        if not deep:
            panels[0].set_yticks(range(len(codes)), [plain_text(code, 32) for code in codes])
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names))
        # The names of layers are text of the user's.
        figure.suptitle(plain_text(title, 110), x=0.01, ha="left", size=10, weight="bold")
    return figure


def _over_depth(axes: Axes, part: pd.DataFrame, codes: list[str], unit: str) -> None:
    from matplotlib.ticker import MaxNLocator

    own = part[part["code"] == OWN]
    axes.plot(own["layer"], own["null"], ":", color=INK, lw=1.2, label="permuted labels")
    for place, code in enumerate(codes):
        rows = part[part["code"] == code]
        if rows.empty:
            continue
        colour, marker = class_marks(place)
        name = plain_text(code, 32)
        style = "none" if _has_gaps(rows, own) else "-"
        axes.plot(
            rows["layer"], rows["value"], marker, ls=style, ms=4, lw=1.2, color=colour, label=name
        )
        axes.vlines(rows["layer"], rows["low"], rows["high"], color=colour, lw=1.2)
    axes.set(xlabel="layer, from input to output", ylabel=unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _has_gaps(rows: pd.DataFrame, own: pd.DataFrame) -> bool:
    """Whether a line would bridge layers without a value."""
    return len(rows) < len(own)


def _by_code(axes: Axes, part: pd.DataFrame, codes: list[str], unit: str) -> None:
    for place, code in enumerate(codes):
        rows = part[part["code"] == code]
        if rows.empty:
            continue
        row = rows.iloc[0]
        colour, marker = class_marks(place)
        axes.plot(row["low"], place, "|", row["high"], place, "|", color=colour)
        axes.hlines(place, row["low"], row["high"], color=colour, lw=1.2)
        axes.plot(row["value"], place, marker, color=colour)
        label = "permuted labels" if place == 0 else None
        axes.plot(row["null"], place, "x", color=INK, ms=5, label=label)
    axes.set_yticks(range(len(codes)), [""] * len(codes))
    axes.set_ylim(len(codes) - 0.5, -0.5)
    axes.set_xlabel(unit)
    axes.grid(axis="y", color=FAINT, lw=0.5)


def _entropy_line(axes: Axes, entropy: float, deep: bool) -> None:
    draw = axes.axhline if deep else axes.axvline
    draw(entropy, color=FAINT, lw=1.2, label="entropy of the class")
