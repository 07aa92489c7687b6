"""The figures of the study, drawn from its tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pathlens.analysis.baselines import OWN
from pathlens.analysis.drawing import (
    INK,
    STATE_COLOURS,
    class_marks,
    figure_bytes,
    house_style,
    new_figure,
    plain_text,
)
from pathlens.files import write_bytes

CODE_NAMES = {OWN: "paths", "response": "plain: thresholded responses", "random": "plain: random"}
CODE_STYLES = {OWN: ("#0072B2", "o"), "response": ("#D55E00", "s"), "random": ("#888888", "x")}
COLUMNS = 4


def save(figure: Figure, target: Path) -> None:
    """Write a figure as SVG."""
    write_bytes(target, figure_bytes(figure, "svg", dpi=110))


def states_figure(states: pd.DataFrame) -> Figure:
    """Shares of the three states over depth, a panel a network; black: gates on."""

    def draw(axes: Axes, part: pd.DataFrame) -> None:
        own = part[part["code"] == OWN]
        below = 0.0
        for state, column in (
            ("high-energy", "high_energy"),
            ("dynamic", "dynamic"),
            ("mute", "mute"),
        ):
            share = 100 * own[column].to_numpy()
            axes.bar(
                own["layer"], share, bottom=below, width=1, color=STATE_COLOURS[state], label=state
            )
            below = below + share
        axes.plot(
            own["layer"], 100 * own["density"], "o", color=INK, markersize=2, label="gates on"
        )
        axes.set(ylim=(0, 100))

    return _panels(states, draw, "filters (%)")


def clusters_figure(clusters: pd.DataFrame) -> Figure:
    """Agreement of clusters with classes over depth, a panel a network, a line a code."""

    def draw(axes: Axes, part: pd.DataFrame) -> None:
        _code_lines(axes, part, "value")
        axes.set(ylim=(-0.03, None))

    chosen = clusters[
        (clusters["measure"] == "AMI")
        & (clusters["asked"] == "as many as classes")
        & (clusters["layer"] > 0)
    ]
    return _panels(chosen, draw, "AMI with classes")


def hierarchy_figure(hierarchy: pd.DataFrame) -> Figure:
    """Correlation of class paths with the hierarchy over depth; filled where p by Holm <= 0.05."""

    def draw(axes: Axes, part: pd.DataFrame) -> None:
        axes.axhline(0, color="#BBBBBB", linewidth=0.8)
        _code_lines(axes, part, "pearson")
        held = part[part["p_holm"] <= 0.05]
        for code, rows in held.groupby("code", sort=False):
            axes.plot(
                rows["layer"], rows["pearson"], "o", color=CODE_STYLES[str(code)][0], markersize=5
            )
        axes.set(ylim=(-0.6, 1.02))

    return _panels(hierarchy[hierarchy["layer"] > 0], draw, "correlation with hierarchy")


def maps_figure(places: pd.DataFrame, classes: dict[str, tuple[str, ...]]) -> Figure:
    """t-SNE maps as points of the colour of their class, a panel a title.

    Args:
        places: panel (its title), network, x, y, label; panels in reading order.
        classes: Class names by network.
    """
    titles = list(dict.fromkeys(places["panel"]))
    columns = 3
    rows = -(-len(titles) // columns)
    with house_style():
        figure = new_figure(8.6, 2.75 * rows + 0.5)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, title in zip(panels, titles, strict=False):
            _points(axes, places[places["panel"] == title])
            axes.set_title(title, fontsize=8)
        for axes in panels[len(titles) :]:
            axes.axis("off")
        first = str(places["network"].iloc[0])
        handles = [
            figure.axes[0].plot([], [], "o", color=class_marks(i)[0], label=plain_text(name))[0]
            for i, name in enumerate(classes[first])
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=5, markerscale=0.8)
    return figure


def _points(axes: Axes, part: pd.DataFrame) -> None:
    """The images of one map, in an order that lets no class cover the others."""
    shuffled = part.sample(frac=1, random_state=0)
    colours = [class_marks(int(label))[0] for label in shuffled["label"]]
    # Pixels inside the vector file, of as many colours as classes: points would make it megabytes.
    axes.scatter(
        shuffled["x"],
        shuffled["y"],
        s=3,
        c=colours,
        linewidths=0,
        antialiased=False,
        rasterized=True,
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[["left", "bottom"]].set_visible(False)


def _code_lines(axes: Axes, part: pd.DataFrame, column: str) -> None:
    for code, rows in part.groupby("code", sort=False):
        colour, mark = CODE_STYLES[str(code)]
        axes.plot(
            rows["layer"],
            rows[column],
            color=colour,
            marker=mark,
            markersize=3,
            markerfacecolor="none",
            linewidth=1,
            label=CODE_NAMES[str(code)],
        )


def _panels(table: pd.DataFrame, draw: Callable[[Axes, pd.DataFrame], None], unit: str) -> Figure:
    """A panel a network, with one legend."""
    networks = list(dict.fromkeys(table["network"]))
    rows = -(-len(networks) // COLUMNS)
    with house_style():
        figure = new_figure(9.6, 2.1 * rows + 0.4)
        grid = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
        panels = grid.ravel()
        for axes, network in zip(panels, networks, strict=False):
            draw(axes, table[table["network"] == network])
            axes.set_title(plain_text(network), fontsize=8)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axes in panels[len(networks) :]:
            axes.axis("off")
        for axes in grid[:, 0]:
            axes.set_ylabel(unit)
        figure.supxlabel("layer", fontsize=9)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure
