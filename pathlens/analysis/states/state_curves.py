"""State curves: how the shares of the filter states change with the number of images looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.analysis.counts import bit_chunks
from pathlens.analysis.drawing import INK, STATE_COLOURS, house_style, new_figure
from pathlens.analysis.results import Result, plural
from pathlens.analysis.source import (
    Bits,
    Floats,
    Ints,
    PathData,
    choose_several,
    require_images,
)
from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

SHARES = ["high_energy", "mute", "dynamic", "expected_dynamic"]
_FIRST_ROWS = 64
_GROWTH = 4


@dataclass(frozen=True)
class StateCurves(Result):
    """Shares of the filter states over nested random subsets of the images.

    Attributes:
        frame: A row a layer and number of images: layer, name, images, high_energy, mute, dynamic
            (shares of the layer's filters, 0 to 1, over the first so many images of one random
            order), expected_dynamic (mean share over all subsets of that size, exact).
        network: The same over the filters of all chosen layers: images and the four shares.
        filters: Number of filters.
        images: Number of images of the recording.
        seed: Seed of the random order.
        left_out: Always empty: every image is looked at.
    """

    frame: pd.DataFrame = field(repr=False)
    network: pd.DataFrame
    filters: int
    images: int
    seed: int
    left_out: str = ""

    def summary(self) -> str:
        """Share of dynamic filters at few and at all images, and whether it still grows."""
        last = self.network.iloc[-1]
        text = (
            f"{last['dynamic']:.0%} of {plural(self.filters, 'filter')} are dynamic over all "
            f"{plural(self.images, 'image')}"
        )
        if len(self.network) < 2:
            return f"{text}: one image cannot show that a filter depends on the image."
        before, middle = self.network.iloc[-2], self.network.iloc[len(self.network) // 2]
        gain = 100 * (last["dynamic"] - before["dynamic"])
        few = plural(int(before["images"]), "image")
        return (
            f"{text}, and {middle['dynamic']:.0%} over {plural(int(middle['images']), 'image')} "
            f"drawn at random; the last step, from {few} on, still adds "
            f"{gain:.1f} percentage points."
        )

    def plot(self) -> Figure:
        """A panel a state: the whole network in bold, layers faint, the darker the deeper."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        first, last = self.frame["layer"].min(), self.frame["layer"].max()
        span = last - first + 1
        depth = ScalarMappable(Normalize(first - 0.5 * span, last + 0.7 * span), "Greys")
        with house_style():
            figure = new_figure(9.6, 3.3)
            panels = figure.subplots(1, 3, sharex=True, sharey=True)
            for axes, state in zip(panels, STATE_COLOURS, strict=True):
                self._panel(axes, state, depth)
            panels[0].set_ylabel("% of filters")
            panels[0].set(ylim=(-2, 102), xlim=(1, max(2, self.images)))
            panels[0].legend(loc="upper left")
            bar = figure.colorbar(depth, ax=panels, label="layer", pad=0.01, aspect=30)
            bar.ax.set_ylim(first - 0.5, last + 0.5)
            bar.locator = _whole_numbers()
            figure.suptitle(
                f"Filter states against the number of images (order by seed {self.seed})",
                x=0.01,
                ha="left",
                size=10,
                weight="bold",
            )
        return figure

    def _panel(self, axes: Axes, state: str, depth: ScalarMappable) -> None:
        column = state.replace("-", "_")
        layers = self.frame["layer"].unique()
        for layer, shade in zip(layers, depth.to_rgba(layers), strict=True):
            part = self.frame[self.frame["layer"] == layer]
            axes.plot(part["images"], 100 * part[column], color=shade, linewidth=0.8)
        axes.plot(
            self.network["images"],
            100 * self.network[column],
            color=INK if state == "mute" else STATE_COLOURS[state],
            linewidth=2.6,
            marker="o",
            markersize=3.5,
            label="all layers",
        )
        axes.set_xscale("log")
        axes.set_title(state)
        axes.set_xlabel("images")


def state_curves(
    data: PathData,
    layers: Iterable[LayerSpec] | None = None,
    *,
    seed: int = 0,
    points: int = 12,
) -> StateCurves:
    """Shares of the filter states against the number of images.

    The images are put into one random order; its first 1, 2, ... all images are nested subsets. A
    filter is dynamic in such a subset from the first image on that differs from the one before, so
    that the positions of its first image with the gate on and its first with the gate off settle all
    sizes in one pass. The expected share over all subsets of a size is exact: a filter that is on for
    K of n images is mute in m of them with probability C(n - K, m) / C(n, m), as in rarefaction
    (Hurlbert 1971).

    Args:
        data: A recording.
        layers: Layers by number, name or glob; all for None.
        seed: Seed of the random order.
        points: Numbers of images, spaced evenly on a logarithmic axis from 1 to all; those that
            would be equal are merged.

    Raises:
        PathLensError: If a layer is unknown, the recording holds no images or `points` is below 2.
    """
    images = require_images(data)
    if points < 2:
        raise PathLensError(f"A curve of {points} points is none: give at least 2.")
    chosen = choose_several(data, layers)
    sizes = np.unique(np.geomspace(1, images, points).round().astype(np.int64))
    place = np.random.default_rng(seed).permutation(images)
    shares = np.stack([_shares(data, layer, place, sizes) for layer in chosen])
    filters = np.array([layer.filters for layer in chosen])
    frame = pd.DataFrame(shares.reshape(-1, len(SHARES)), columns=SHARES)
    frame.insert(0, "layer", np.repeat([layer.index for layer in chosen], len(sizes)))
    frame.insert(1, "name", np.repeat([layer.name for layer in chosen], len(sizes)))
    frame.insert(2, "images", np.tile(sizes, len(chosen)))
    network = pd.DataFrame(np.average(shares, axis=0, weights=filters), columns=SHARES)
    network.insert(0, "images", sizes)
    return StateCurves(frame, network, int(filters.sum()), images, seed)


def _shares(data: PathData, layer: Layer, place: Ints, sizes: Ints) -> Floats:
    """Shares of the layer's filters at each size: float64 (sizes, 4), columns as `SHARES`."""
    first_on, first_off, on = _first_places(data, layer, place)
    never_on = first_on >= sizes[:, None]
    never_off = first_off >= sizes[:, None]
    high_energy, mute = never_off.mean(axis=1), never_on.mean(axis=1)
    expected = 1 - _absent(on, len(place), sizes) - _absent(len(place) - on, len(place), sizes)
    dynamic = (~never_on & ~never_off).mean(axis=1)
    # At one image the two probabilities add up to 1 but for rounding.
    return np.stack([high_energy, mute, dynamic, expected.mean(axis=1).clip(min=0)], axis=1)


def _absent(on: Ints, images: int, sizes: Ints) -> Floats:
    """Probability that none of `on` of `images` is among `sizes` drawn: float64 (sizes, filters)."""
    from scipy.special import gammaln

    left = images - on - sizes[:, None]
    drawn = gammaln(np.maximum(left, 0) + 1) + gammaln(images + 1)
    ways = gammaln(images - on + 1) + gammaln(images - sizes + 1)[:, None]
    return np.where(left >= 0, np.exp(np.minimum(ways - drawn, 0)), 0.0)


def _first_places(data: PathData, layer: Layer, place: Ints) -> tuple[Ints, Ints, Ints]:
    """For each filter the first place with its gate on, with it off, and the images with it on.

    Args:
        data: A recording.
        layer: One of its layers.
        place: int64 (images,), each image's place in the random order; a filter that is never on, or
            never off, gets the number of images.
    """
    first_on, first_off = (np.full(layer.filters, len(place), dtype=np.int64) for _ in range(2))
    on = np.zeros(layer.filters, dtype=np.int64)
    start = 0
    for bits in bit_chunks(data, layer):
        places = place[start : start + len(bits)]
        own = bits.sum(axis=0, dtype=np.int64)
        _lower(first_on, np.flatnonzero(own), bits, places, True)
        _lower(first_off, np.flatnonzero(own < len(bits)), bits, places, False)
        on += own
        start += len(bits)
    return first_on, first_off, on


def _lower(
    first: Ints, filters: npt.NDArray[np.intp], bits: Bits, places: Ints, value: bool
) -> None:
    """Lower `first` to the earliest place in this chunk at which each of `filters` has `value`.

    Most filters are settled by few images, so that growing blocks are looked at, each for the
    filters alone that the images so far have not settled.
    """
    order = np.argsort(places)
    start, step = 0, _FIRST_ROWS
    while start < len(order):
        unsettled = filters[first[filters] > places[order[start]]]
        if not len(unsettled):
            return
        rows = order[start : start + step]
        hits = bits[np.ix_(rows, unsettled)] == value
        found = hits.any(axis=0)
        earliest = places[rows[hits[:, found].argmax(axis=0)]]
        first[unsettled[found]] = np.minimum(first[unsettled[found]], earliest)
        start, step = start + step, step * _GROWTH


def _whole_numbers() -> Locator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True, nbins=8)
