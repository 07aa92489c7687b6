"""The figure of what each layer adds to the scores of one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    from pathlens.detection.giveaways import Giveaways

MOST_PANELS = 8
"""Detectors that are drawn."""


def draw_giveaways(found: Giveaways) -> Figure:
    """A panel a detector: bars over layers."""
    names = list(dict.fromkeys(found.layers["detector"]))[:MOST_PANELS]
    if not names:
        return empty_figure("What gives the image away", "No score is a sum over layers.")
    with house_style():
        figure = new_figure(6.4, 1.7 * len(names) + 0.8)
        panels = figure.subplots(len(names), 1, squeeze=False, sharex=True)[:, 0]
        for axes, name in zip(panels, names, strict=True):
            _panel(axes, found, name)
        panels[-1].set_xlabel("layer")
        title = f"{plain_text(found.image, 40)}, taken for {plain_text(found.predicted, 24)}"
        figure.suptitle(title.strip(), fontsize=10, x=0.02, ha="left", fontweight="bold")
    return figure


def _panel(axes: Axes, found: Giveaways, name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    own = found.layers[found.layers["detector"] == name]
    row = found.scores[found.scores["detector"] == name].iloc[0]
    colours = [PALETTE[3] if part > 0 else FAINT for part in own["part"]]
    axes.bar(own["layer"], own["part"], color=colours, width=0.8)
    axes.set_xlim(own["layer"].min() - 0.6, own["layer"].max() + 0.6)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    limit = "" if row["threshold"] != row["threshold"] else f" (threshold {row['threshold']:.2f})"
    axes.set_title(f"{plain_text(name)}: {row['score']:.2f}{limit}", fontsize=9)
    axes.set_ylabel("adds to score")
