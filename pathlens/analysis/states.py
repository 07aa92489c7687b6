"""Filter states: which filters are always on, never on, or decided image by image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.drawing import INK, STATE_COLOURS, house_style, new_figure
from pathlens.analysis.results import Result, plural
from pathlens.analysis.source import PathData, choose_several, require_images
from pathlens.layers import Layer, LayerSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FilterStates(Result):
    """States of all filters of some layers over the images of a recording.

    Attributes:
        frame: A row a filter: layer (number), name, filter, rate (share of images with the gate
            on), state ("high-energy": on for all images, "mute": on for none, else "dynamic").
        by_layer: A row a layer: layer, name, filters, high_energy, mute, dynamic (numbers of
            filters), density (mean rate), share_dynamic.
        images: Number of images counted. The share of dynamic filters grows with it: compare only
            at equal numbers.
        left_out: Always empty: every image is counted.
    """

    frame: pd.DataFrame = field(repr=False)
    by_layer: pd.DataFrame
    images: int
    left_out: str = ""

    def summary(self) -> str:
        """Shares of the three states and the gate density, with the number of images."""
        total = len(self.frame)
        share = self.frame["state"].value_counts() / total
        return (
            f"Over {plural(self.images, 'image')}, {share.get('dynamic', 0):.0%} of "
            f"{plural(total, 'filter')} in {plural(len(self.by_layer), 'layer')} are dynamic, "
            f"{share.get('high-energy', 0):.0%} are always on (high-energy) and "
            f"{share.get('mute', 0):.0%} are never on (mute); "
            f"{self.frame['rate'].mean():.0%} of all gates are on."
        )

    def plot(self) -> Figure:
        """Shares of the states over depth as stacked bars, gate density as points."""
        with house_style():
            figure = new_figure(min(11.0, 3.4 + 0.28 * len(self.by_layer)), 3.4)
            axes = figure.add_subplot()
            self._bars(axes)
            axes.plot(
                self.by_layer["layer"],
                100 * self.by_layer["density"],
                "o",
                markersize=5,
                markerfacecolor="white",
                markeredgecolor=INK,
                label="gates on (mean)",
            )
            axes.set(
                ylim=(0, 100),
                xmargin=0.01,
                xlabel="layer, from input to output",
                ylabel="% of filters",
            )
            axes.set_title(f"Filter states over depth ({plural(self.images, 'image')})")
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), reverse=True)
        return figure

    def _bars(self, axes: Axes) -> None:
        table = self.by_layer
        bottom = np.zeros(len(table))
        for state, colour in STATE_COLOURS.items():
            share = 100 * (table[state.replace("-", "_")] / table["filters"]).to_numpy()
            axes.bar(table["layer"], share, bottom=bottom, color=colour, width=0.82, label=state)
            bottom += share
        first, last = int(table["layer"].min()), int(table["layer"].max())
        step = max(1, round((last - first) / 16))
        axes.set_xticks(range(first, last + 1, step))


def filter_states(data: PathData, layers: Iterable[LayerSpec] | None = None) -> FilterStates:
    """Count for every filter the images that have its gate on, and name its state.

    Args:
        data: A recording.
        layers: Layers by number, name or glob; all for None.

    Raises:
        PathLensError: If a layer is unknown or the recording holds no images.
    """
    images = require_images(data)
    chosen = choose_several(data, layers)
    frame = pd.concat([_layer_rows(data, layer, images) for layer in chosen], ignore_index=True)
    return FilterStates(frame=frame, by_layer=_by_layer(frame), images=images)


def _layer_rows(data: PathData, layer: Layer, images: int) -> pd.DataFrame:
    on = data.bits(layer.name).sum(axis=0, dtype=np.int64)
    state = np.where(on == images, "high-energy", np.where(on == 0, "mute", "dynamic"))
    return pd.DataFrame(
        {
            "layer": layer.index,
            "name": layer.name,
            "filter": np.arange(layer.filters),
            "rate": on / images,
            "state": state,
        }
    )


def _by_layer(frame: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (layer, name), part in frame.groupby(["layer", "name"], sort=False):
        counts = part["state"].value_counts()
        rows.append(
            {
                "layer": layer,
                "name": name,
                "filters": len(part),
                "high_energy": int(counts.get("high-energy", 0)),
                "mute": int(counts.get("mute", 0)),
                "dynamic": int(counts.get("dynamic", 0)),
                "density": float(part["rate"].mean()),
                "share_dynamic": int(counts.get("dynamic", 0)) / len(part),
            }
        )
    return pd.DataFrame(rows)
