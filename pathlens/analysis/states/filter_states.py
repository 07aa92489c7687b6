"""Filter states: which filters are always on, never on, or decided image by image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.analysis.counts import on_counts
from pathlens.analysis.drawing import INK, STATE_COLOURS, house_style, new_figure
from pathlens.analysis.results import Result, plural
from pathlens.analysis.source import Floats, Ints, PathData, choose_several, require_images
from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATES = ("mute", "dynamic", "high-energy")
"""The states by their code: 0, 1, 2."""
TAIL = 0.025


@dataclass(frozen=True)
class FilterStates(Result):
    """States of all filters of some layers over the images of a recording.

    Attributes:
        frame: A row a filter: layer (number), name, filter, rate (share of images with the gate
            on), rate_low and rate_high (95 % Clopper-Pearson interval of the rate, 0 to 1), state
            ("high-energy": on for all images, "mute": on for none, else "dynamic"; with a
            tolerance as `filter_states` says).
        by_layer: A row a layer: layer, name, filters, high_energy, mute, dynamic (numbers of
            filters), density (mean rate), share_dynamic.
        images: Number of images counted. The share of dynamic filters grows with it: compare only
            at equal numbers.
        tolerance: Share of images that may depart from a state; 0 for the exact definition.
        left_out: States that so few images cannot show at this tolerance. Every image is counted.
    """

    frame: pd.DataFrame = field(repr=False)
    by_layer: pd.DataFrame
    images: int
    tolerance: float = 0.0
    left_out: str = ""

    def summary(self) -> str:
        """Shares of the three states and the gate density, with the number of images."""
        total = len(self.frame)
        share = self.frame["state"].value_counts() / total
        always, never = "always on", "never on"
        if self.tolerance:
            always = f"on for at least {100 * (1 - self.tolerance):.4g} %"
            never = f"on for at most {100 * self.tolerance:.4g} %"
        return (
            f"Over {plural(self.images, 'image')}, {share.get('dynamic', 0):.0%} of "
            f"{plural(total, 'filter')} in {plural(len(self.by_layer), 'layer')} are dynamic, "
            f"{share.get('high-energy', 0):.0%} are {always} (high-energy) and "
            f"{share.get('mute', 0):.0%} are {never} (mute); "
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
            within = f", tolerance {self.tolerance:g}" if self.tolerance else ""
            axes.set_title(f"Filter states over depth ({plural(self.images, 'image')}{within})")
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


def filter_states(
    data: PathData, layers: Iterable[LayerSpec] | None = None, *, tolerance: float = 0.0
) -> FilterStates:
    """Count for every filter the images that have its gate on, and name its state.

    Exact by default: high-energy is on for all images, mute for none. With a tolerance t a filter is
    high-energy where the 95 % Clopper-Pearson interval of its on-rate (Clopper & Pearson 1934; it
    covers the true rate in at least 95 % of samples, also for rates near 0 and 1) lies wholly at or
    above 1 - t, mute where it lies wholly at or below t, and dynamic otherwise: a filter is dynamic
    until enough images have shown that it is not.

    Args:
        data: A recording.
        layers: Layers by number, name or glob; all for None.
        tolerance: Share of images, from 0 to below 0.5, that may depart from a state.

    Raises:
        PathLensError: If a layer is unknown, the recording holds no images or the tolerance is not
            one.
    """
    images = require_images(data)
    require_tolerance(tolerance)
    chosen = choose_several(data, layers)
    rows = [_layer_rows(data, layer, images, tolerance) for layer in chosen]
    frame = pd.concat(rows, ignore_index=True)
    return FilterStates(frame, _by_layer(frame), images, tolerance, _left_out(images, tolerance))


def require_tolerance(tolerance: float) -> None:
    """Refuse a tolerance at which one rate could be both high-energy and mute.

    Raises:
        PathLensError: If it does not lie between 0 and 0.5.
    """
    if not 0 <= tolerance < 0.5:
        raise PathLensError(
            f"The tolerance is {tolerance:g}: give a share of images from 0 (exact) to below 0.5."
        )


def most_when_mute(images: Any, tolerance: float) -> Ints:
    """The largest number of images with the gate on that is still called mute; -1 if there is none.

    The upper end of the Clopper-Pearson interval of k of n is at or below t exactly where
    P(X <= k) <= 0.025 for X binomial with n and t, so that one quantile settles all filters. By
    symmetry a filter is high-energy from `images` less this number on.

    Args:
        images: Number of images, or an array of them.
        tolerance: Share of images that may depart from the state, t.
    """
    if not tolerance:
        return np.zeros(np.shape(images), dtype=np.int64)
    from scipy.stats import binom

    return np.asarray(binom.ppf(TAIL, images, tolerance) - 1, dtype=np.int64)


def state_codes(on: Ints, images: Any, tolerance: float) -> npt.NDArray[np.int8]:
    """Position in `STATES` of each filter, from its number of images with the gate on.

    Args:
        on: int64, any shape.
        images: Number of images, broadcast against `on`.
        tolerance: As of `filter_states`.
    """
    most = most_when_mute(images, tolerance)
    return np.asarray(1 + (on >= images - most).astype(np.int8) - (on <= most), dtype=np.int8)


def fewest_images(tolerance: float) -> int:
    """Images from which on a filter can be shown to be mute or high-energy at a tolerance."""
    return int(np.ceil(np.log(TAIL) / np.log1p(-tolerance))) if tolerance else 1


def rate_interval(on: Ints, images: int) -> tuple[Floats, Floats]:
    """95 % Clopper-Pearson interval of a share (Clopper & Pearson 1934): lower and upper ends.

    Args:
        on: int64 (filters,), images with the gate on.
        images: All images.
    """
    from scipy.stats import beta

    values, places = np.unique(on, return_inverse=True)
    low = beta.ppf(TAIL, values, images - values + 1)
    high = beta.ppf(1 - TAIL, values + 1, images - values)
    # With nothing, or everything, on, one end is the border itself, where beta has no quantile.
    low, high = np.where(values == 0, 0.0, low), np.where(values == images, 1.0, high)
    return low[places], high[places]


def _layer_rows(data: PathData, layer: Layer, images: int, tolerance: float) -> pd.DataFrame:
    on = on_counts(data, layer)
    low, high = rate_interval(on, images)
    return pd.DataFrame(
        {
            "layer": layer.index,
            "name": layer.name,
            "filter": np.arange(layer.filters),
            "rate": on / images,
            "rate_low": low,
            "rate_high": high,
            "state": np.array(STATES)[state_codes(on, images, tolerance)],
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


def _left_out(images: int, tolerance: float) -> str:
    fewest = fewest_images(tolerance)
    if images >= fewest:
        return ""
    return (
        f"high-energy and mute filters: {plural(images, 'image')} cannot show a rate to lie within "
        f"{tolerance:g} of 0 or 1, it takes at least {fewest:,}"
    )
