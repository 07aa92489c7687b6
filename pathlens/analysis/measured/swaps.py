"""Path swaps as they were measured: what the answer loses with another path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.drawing import INK, PALETTE, house_style, new_figure
from pathlens.analysis.results import Result, join_notes, plural
from pathlens.errors import PathLensError
from pathlens.recording.beside import PATH_SWAPS, read_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pathlens.recording import Recording

OWN_PATH = "own path"
MAJORITY = "majority path"
STATIC = "majority path, equal MACs"
CLASS_MAJORITY = "majority path of the predicted class"
CLASS_STATIC = "majority path of the predicted class, equal MACs"
SAME_CLASS = "path of another image of the same predicted class"
OTHER_CLASS = "path of an image of another predicted class"
WHOLE = "all"
"""What the column `layer` says where the gates of all layers were swapped."""


@dataclass(frozen=True)
class PathSwaps(Result):
    """What swapping paths costs.

    Attributes:
        frame: A row a condition and scope: condition, layer ("all", a layer's name where only its
            gates were swapped, "from NAME on" for it and all later ones), images, accuracy, lost
            (accuracy of the own path minus this one's, in shares), lost_low and lost_high (95 %
            bootstrap interval, paired over images), macs_share (of the plain network's MACs).
        layers: Names of the layers, in running order.
        left_out: What was not measured.
    """

    frame: pd.DataFrame = field(repr=False)
    layers: tuple[str, ...] = field(repr=False)
    left_out: str

    def whole(self, condition: str) -> pd.Series | None:
        """The row of a condition with all layers swapped; None if it was not measured."""
        rows = self.frame[(self.frame["condition"] == condition) & (self.frame["layer"] == WHOLE)]
        return None if rows.empty else rows.iloc[0]

    def summary(self) -> str:
        """The accuracy of the own paths, and what a static path and that of another class cost."""
        said = []
        for condition, words in (
            (STATIC, "one path for all images at equal MACs"),
            (OTHER_CLASS, "the path of an image of another class"),
        ):
            row = self.whole(condition)
            if row is not None:
                said.append(
                    f"{words} loses {100 * row['lost']:.1f} points of accuracy "
                    f"[{100 * row['lost_low']:.1f}, {100 * row['lost_high']:.1f}]"
                )
        own = self.whole(OWN_PATH)
        beside = (
            "" if own is None else f", which are {own['accuracy']:.1%} right on their own paths"
        )
        images = plural(int(self.frame["images"].min()), "image")
        return f"On {images}{beside}, {' and '.join(said) or 'no path was swapped in all layers'}."

    def plot(self) -> Figure:
        """Points of accuracy lost by condition, and over depth where that was measured."""
        depths = {
            "the only layer whose gates are swapped": self._at(self.layers),
            "the first layer whose gates are swapped, with all later ones": self._at(
                [later(name) for name in self.layers]
            ),
        }
        measured = {label: rows for label, rows in depths.items() if len(rows)}
        with house_style():
            figure = new_figure(8.0 if measured else 6.6, 3.2 + 2.8 * len(measured))
            axes = figure.subplots(1 + len(measured), 1, squeeze=False)[:, 0]
            self._conditions(axes[0])
            for one, (label, rows) in zip(axes[1:], measured.items(), strict=True):
                self._depth(one, rows, label)
        return figure

    def _at(self, scopes: Sequence[str]) -> pd.DataFrame:
        """The rows of some scopes, and in `place` the number of their layer."""
        places = {scope: number for number, scope in enumerate(scopes, start=1)}
        rows = self.frame[self.frame["layer"].isin(scopes)]
        return rows.assign(place=rows["layer"].map(places)).sort_values("place")

    def _conditions(self, axes: Axes) -> None:
        rows = self.frame[(self.frame["layer"] == WHOLE) & (self.frame["condition"] != OWN_PATH)]
        rows = rows.iloc[::-1]
        lost = 100 * rows[["lost", "lost_low", "lost_high"]].to_numpy(dtype=float)
        places = np.arange(len(rows))
        spread = np.abs(lost[:, 1:] - lost[:, :1]).T
        axes.barh(places, lost[:, 0], color=PALETTE[0], height=0.62)
        axes.errorbar(lost[:, 0], places, xerr=spread, fmt="none", ecolor=INK, capsize=3)
        axes.set_yticks(places, list(rows["condition"]))
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set(xlabel="points of accuracy lost, with 95 % intervals")
        axes.set_title("What another path costs" if len(rows) else "No path was swapped as a whole")

    def _depth(self, axes: Axes, rows: pd.DataFrame, label: str) -> None:
        from matplotlib.ticker import MaxNLocator

        for colour, marker, condition in zip(PALETTE, "os^", (STATIC, OTHER_CLASS), strict=False):
            part = rows[rows["condition"] == condition]
            axes.plot(
                part["place"], 100 * part["lost"], marker + "-", color=colour, label=condition
            )
            low, high = 100 * part["lost_low"], 100 * part["lost_high"]
            axes.fill_between(part["place"], low, high, color=colour, alpha=0.15)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set(xlabel=label, ylabel="points lost")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


def later(name: str) -> str:
    """What the column `layer` says where a layer was swapped together with all later ones."""
    return f"from {name} on"


def swaps_of(recording: Recording, table: pd.DataFrame) -> PathSwaps:
    """A table of path swaps as a result that says what it does not hold.

    Args:
        recording: The recording that was probed.
        table: Columns as `PathSwaps.frame` documents them.
    """
    layers = tuple(layer.name for layer in recording.layers)
    alone = table["layer"].isin(layers).any()
    skipped = len(recording.skipped)
    notes = [
        "" if alone else "swaps of single layers",
        plural(skipped, "unreadable image") if skipped else "",
    ]
    return PathSwaps(table, layers, join_notes(notes))


def path_swaps(recording: Recording) -> PathSwaps:
    """Read what path swaps cost; `pathlens probe` measures it.

    Raises:
        PathLensError: If it was not measured for this recording.
    """
    table = read_beside(recording, PATH_SWAPS)
    if table is None:
        raise PathLensError(
            "What another path costs was not measured: run `pathlens probe` on the recording, where "
            "its network and images are, and make the report again."
        )
    return swaps_of(recording, table)
