"""The figure of adaptive.py: how often each attack fools network and detector together."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pathlens.analysis.drawing import (
    FAINT,
    INK,
    PALETTE,
    empty_figure,
    house_style,
    new_figure,
    plain_text,
)

MARKS = {
    "sum": ("o", PALETTE[0]),
    "orthogonal": ("s", PALETTE[1]),
    "transfer": ("^", PALETTE[2]),
    "search": ("D", PALETTE[4]),
}
_LINE = 0.16  # between attacks on one detector


def draw(table: pd.DataFrame, share: float) -> Figure:
    """A panel a radius, a line a detector; plain PGD is a bar, attacks that know it have intervals."""
    rows = table[(table["false_alarms"] == share) & table["form"].isin(list(MARKS))]
    if rows.empty:
        return empty_figure("Attacks that know the detector", "Nothing was attacked.")
    names = list(dict.fromkeys(rows["detector"]))
    radii = sorted(rows["radius"].unique(), reverse=True)
    with house_style():
        figure = new_figure(3.0 + 2.3 * len(radii), 1.5 + 0.52 * len(names))
        panels = figure.subplots(1, len(radii), sharey=True, squeeze=False)[0]
        for axes, radius in zip(panels, radii, strict=True):
            _panel(axes, rows[rows["radius"] == radius], names)
            axes.set_title(f"{radius:g}/255")
        fitted = rows.drop_duplicates("detector").set_index("detector")["fitted_on"]
        labels = [f"{plain_text(name, 40)}\n(fitted on {fitted[name]})" for name in names]
        panels[0].set_yticks(range(len(names)), labels)
        panels[0].set_ylim(len(names) - 0.4, -0.6)
        handles = dict[str, object]()
        for axes in panels:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        figure.legend(
            list(handles.values()), list(handles), loc="outside upper center", ncols=len(handles)
        )
        figure.supxlabel(
            f"images on which network and detector are fooled (%), {100 * share:g} % false alarms",
            fontsize=9,
        )
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    place = {name: line for line, name in enumerate(names)}
    plain = rows.drop_duplicates("detector")
    axes.barh(
        [place[name] for name in plain["detector"]],
        100 * plain["plain_both"],
        height=0.62,
        color=FAINT,
        label="plain PGD",
        zorder=1,
    )
    for line, (form, (mark, colour)) in enumerate(MARKS.items()):
        own = rows[rows["form"] == form]
        if own.empty:
            continue
        axes.errorbar(
            100 * own["both"],
            [place[name] + _LINE * (line % 2 - 0.5) for name in own["detector"]],
            xerr=100 * own[["both_low", "both_high"]].sub(own["both"], axis=0).abs().to_numpy().T,
            fmt=mark,
            color=colour,
            markersize=4.5,
            elinewidth=1,
            label=form,
            zorder=3,
        )
    axes.set_xlim(-2, 102)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.axvline(0, color=INK, linewidth=0.6)
