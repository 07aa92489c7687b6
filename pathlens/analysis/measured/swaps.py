"""Path swaps as they were measured: what the answer loses with another path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.drawing import INK, PALETTE, house_style, new_figure
from pathlens.analysis.results import Result, plural
from pathlens.errors import PathLensError
from pathlens.recording.beside import PATH_SWAPS, read_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pathlens.recording import Recording

OWN_PATH = "own path"
STATIC = "majority path, equal MACs"
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
    layers: tuple[str, ...]
    left_out: str

    def whole(self, condition: str) -> pd.Series | None:
        """The row of a condition with all layers swapped; None if it was not measured."""
        rows = self.frame[(self.frame["condition"] == condition) & (self.frame["layer"] == WHOLE)]
        return None if rows.empty else rows.iloc[0]

    def summary(self) -> str:
        """What one static path and the path of another class cost."""
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
        images = plural(int(self.frame["images"].min()), "image")
        return f"On {images}, {' and '.join(said) or 'no path was swapped in all layers'}."

    def plot(self) -> Figure:
        """Points of accuracy lost by condition, and layer by layer where that was measured."""
        by_layer = self.frame[self.frame["layer"].isin(self.layers)]
        with house_style():
            figure = new_figure(8.0 if len(by_layer) else 6.6, 3.2 + 2.8 * bool(len(by_layer)))
            axes = figure.subplots(2, 1) if len(by_layer) else [figure.add_subplot()]
            self._conditions(axes[0])
            if len(by_layer):
                self._depth(axes[1], by_layer)
        return figure

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
        axes.set_title("What another path costs")

    def _depth(self, axes: Axes, rows: pd.DataFrame) -> None:
        position = {name: at for at, name in enumerate(self.layers, start=1)}
        for colour, marker, condition in zip(PALETTE, "os^", (STATIC, OTHER_CLASS), strict=False):
            part = rows[rows["condition"] == condition]
            places = [position[name] for name in part["layer"]]
            axes.plot(places, 100 * part["lost"], marker + "-", color=colour, label=condition)
            axes.fill_between(
                places, 100 * part["lost_low"], 100 * part["lost_high"], color=colour, alpha=0.15
            )
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set(xlabel="the only layer whose gates are swapped", ylabel="points lost")
        axes.legend()


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
    layers = tuple(layer.name for layer in recording.layers)
    alone = table["layer"].isin(layers).any()
    return PathSwaps(table, layers, "" if alone else "swaps of single layers")
