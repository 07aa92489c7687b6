"""The images that a filter responds to most and least, or that its gate is on and off for."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pathlens.analysis.drawing import INK, PALETTE, house_style, new_figure, plain_text
from pathlens.analysis.results import Result, join_notes, plural
from pathlens.analysis.source import Bits, Floats, Ints, PathData, grouping, require_images
from pathlens.errors import PathLensError, unknown
from pathlens.layers import Layer, LayerSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRENGTHS = ("scores", "responses", "gates")
SIDES = ("top", "bottom")
_MEANING = {
    "scores": "what the gate was decided from (scores)",
    "responses": "the filter's pooled response before its gate",
}


@dataclass(frozen=True)
class FilterImages(Result):
    """Top and bottom images of one filter.

    Attributes:
        frame: A row an image: rank (from 1, the strongest and the weakest first; missing where
            images were drawn by gate), image, side ("top" or "bottom"; drawn by gate: on or off),
            value (score or response; missing likewise), gate (bool), label (class name, "" if
            unknown), position (row of the recording).
        strength: What ranked: "scores", "responses" or "gates" (nothing did: images were drawn by
            seed).
        layer: The layer.
        filter: Number of the filter.
        rate: Share of all images that have its gate on.
        images: Images of the recording.
        shares: Of each class name, its share of all images.
        by: "label", "prediction" (true classes unknown) or "".
        thumbnails: JPEG or PNG bytes for each row of `frame`, b"" where there is none.
        left_out: What ranked, and images that are not there to show.
    """

    frame: pd.DataFrame
    strength: str
    layer: Layer
    filter: int
    rate: float
    images: int
    shares: dict[str, float] = field(repr=False)
    by: str
    thumbnails: tuple[bytes, ...] = field(repr=False)
    left_out: str

    def summary(self) -> str:
        """On-rate of the filter, and the commonest class among its top images beside its share."""
        text = (
            f"Filter {self.filter} of layer {self.layer.index} ({self.layer.name}) is on for "
            f"{self.rate:.1%} of {plural(self.images, 'image')}"
        )
        top = self.frame[self.frame["side"] == "top"]
        known = top["label"][top["label"] != ""]
        if known.empty:
            return f"{text}."
        counts = known.value_counts()
        which = (
            "drawn from these" if self.strength == "gates" else f"with the highest {self.strength}"
        )
        return (
            f"{text}; of the {plural(len(top), 'image')} {which}, {counts.iloc[0]} are "
            f"{'of' if self.by == 'label' else 'predicted as'} class {counts.index[0]}, which "
            f"{self.shares[str(counts.index[0])]:.1%} of all images are."
        )

    def plot(self) -> Figure:
        """A strip of thumbnails a side; bars of values where there are no thumbnails."""
        most = max(self.frame["side"].value_counts().max(), 1) if len(self.frame) else 1
        pictured = any(self.thumbnails)
        with house_style():
            figure = new_figure(float(np.clip(0.95 * most + 0.6, 5, 14)), 3.5 if pictured else 4.2)
            if pictured:
                self._strips(figure, int(most))
            else:
                self._bars(figure.add_subplot())
            title = f"Filter {self.filter} of layer {self.layer.index} ({self.layer.name})"
            how = "drawn by gate" if self.strength == "gates" else f"by {self.strength}"
            figure.suptitle(
                f"{plain_text(title, 70)}: images {how}", x=0.01, ha="left", size=10, weight="bold"
            )
        return figure

    def _strips(self, figure: Figure, most: int) -> None:
        grid = figure.subplots(2, most, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for row, side in zip(grid, SIDES, strict=True):
            rows = np.flatnonzero(self.frame["side"] == side)
            heading = self._heading(side) + " (no image)" * (not len(rows))
            row[0].set_title(heading, size=8.5)
            for axes, place in zip(row, rows, strict=False):
                _show(axes, self.thumbnails[place])
                axes.text(
                    0.5,
                    -0.05,
                    self._caption(int(place)),
                    ha="center",
                    va="top",
                    size=7,
                    transform=axes.transAxes,
                )

    def _bars(self, axes: Axes) -> None:
        frame = self.frame
        values = frame["value"] if self.strength != "gates" else frame["gate"].astype(float)
        colours = [PALETTE[0] if side == "top" else PALETTE[9] for side in frame["side"]]
        axes.barh(np.arange(len(frame)), values.astype(float), color=colours)
        labels = [self._caption(place).replace("\n", "  ") for place in range(len(frame))]
        axes.set_yticks(np.arange(len(frame)), labels, size=7)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.invert_yaxis()
        axes.set_xlabel(self.strength if self.strength != "gates" else "gate")
        axes.set_title("no thumbnails were recorded")

    def _heading(self, side: str) -> str:
        if self.strength == "gates":
            return f"gate {'on' if side == 'top' else 'off'}"
        return f"{'highest' if side == 'top' else 'lowest'} {self.strength}"

    def _caption(self, place: int) -> str:
        row = self.frame.iloc[place]
        name = plain_text(str(row["label"]) or str(row["image"]), 15)
        if self.strength == "gates":
            return name
        return f"{name}\n{row['value']:.3g}, {'on' if row['gate'] else 'off'}"


def filter_images(
    data: PathData,
    layer: LayerSpec,
    filter: int,
    *,
    count: int = 12,
    strength: str | None = None,
    seed: int = 0,
) -> FilterImages:
    """The images that are strongest and weakest in one filter.

    Images are ranked by the recorded scores (what the gate was decided from), else by the recorded
    responses (global average of the filter's output before the gate). A recording of gates alone
    gives no rank: images with the gate on and with it off are drawn by seed then.

    Args:
        data: A recording.
        layer: Number, name or glob of one layer.
        filter: Number of the filter, from 0.
        count: Images a side, at most; never more than half of all when they are ranked.
        strength: "scores", "responses" or "gates"; None for the first of them that is recorded.
        seed: Seed of the images that are drawn where nothing ranks them.

    Raises:
        PathLensError: If the layer or filter does not exist, the recording holds no images, or what
            `strength` asks for was not recorded.
    """
    images = require_images(data)
    if count < 1:
        raise PathLensError(f"count is {count}: give at least 1 image a side.")
    chosen = data.layers.find(layer)
    if not 0 <= filter < chosen.filters:
        raise PathLensError(
            f"Layer {chosen.index} ({chosen.name}) has no filter {filter}: its filters are numbered "
            f"from 0 to {chosen.filters - 1}."
        )
    gates = data.bits(chosen.name)[:, filter]
    ranked_by, values = _values(data, chosen, filter, strength)
    sides = _drawn(gates, count, seed) if values is None else _ranked(values, count)
    positions = np.concatenate(sides)
    names, by, shares = _classes(data)
    return FilterImages(
        frame=_frame(data, sides, gates, values, names),
        strength=ranked_by,
        layer=chosen,
        filter=filter,
        rate=float(gates.mean()),
        images=images,
        shares=shares,
        by=by,
        thumbnails=_thumbnails(data, positions),
        left_out=_left_out(ranked_by, sides, by),
    )


def _values(
    data: PathData, layer: Layer, filter: int, strength: str | None
) -> tuple[str, Floats | None]:
    """What ranks, and float64 (images,); None where only gates were recorded."""
    if strength is not None and strength not in STRENGTHS:
        raise unknown("strength", strength, STRENGTHS)
    for name in STRENGTHS[:2] if strength is None else (strength,):
        read = getattr(data, name, None)
        if name == "gates":
            break
        try:
            if read is None:
                raise PathLensError(f"This recording holds no {name}: choose another strength.")
            return name, np.asarray(read(layer.name)[:, filter], dtype=np.float64)
        except PathLensError:
            if strength is not None:
                raise
    return "gates", None


def _ranked(values: Floats, count: int) -> tuple[Ints, Ints]:
    """Positions of the highest values and of the lowest of the rest; ties by position."""
    count = min(count, max(1, len(values) // 2))
    top = np.argsort(-values, kind="stable")[:count]
    rest = np.setdiff1d(np.arange(len(values)), top)
    return top, rest[np.argsort(values[rest], kind="stable")[:count]]


def _drawn(gates: Bits, count: int, seed: int) -> tuple[Ints, Ints]:
    """Positions of images with the gate on and with it off, drawn at random, ascending."""
    rng = np.random.default_rng(seed)
    sides = [np.flatnonzero(gates), np.flatnonzero(~gates)]
    on, off = (np.sort(rng.choice(x, min(count, len(x)), replace=False)) for x in sides)
    return on, off


def _frame(
    data: PathData,
    sides: Sequence[Ints],
    gates: Bits,
    values: Floats | None,
    names: Sequence[str],
) -> pd.DataFrame:
    positions = np.concatenate(sides)
    ranks = np.concatenate([np.arange(1, len(side) + 1) for side in sides])
    return pd.DataFrame(
        {
            "rank": pd.array(ranks if values is not None else [None] * len(ranks), dtype="Int64"),
            "image": data.images["image"].to_numpy()[positions],
            "side": np.repeat(SIDES, [len(side) for side in sides]),
            "value": np.nan if values is None else values[positions],
            "gate": gates[positions],
            "label": [names[i] for i in positions],
            "position": positions,
        }
    )


def _classes(data: PathData) -> tuple[Any, str, dict[str, float]]:
    """Class name of each image ("" if unknown), what it comes from, and shares of the classes."""
    groups = grouping(data)
    if groups is None:
        return np.full(len(data.images), ""), "", {}
    names = np.array([*groups.names, ""], dtype=object)[groups.codes]
    found, counts = np.unique(groups.codes[groups.codes >= 0], return_counts=True)
    shares = {groups.names[i]: count / len(names) for i, count in zip(found, counts, strict=True)}
    return names, groups.by, shares


def _thumbnails(data: PathData, positions: Ints) -> tuple[bytes, ...]:
    read = getattr(data, "thumbnails", None)
    return (b"",) * len(positions) if read is None else tuple(read(positions))


def _left_out(ranked_by: str, sides: Sequence[Ints], by: str) -> str:
    if ranked_by in _MEANING:
        measure = f"ranked by {_MEANING[ranked_by]}: images between top and bottom"
    else:
        measure = "a rank: only gates are looked at, so that images were drawn by seed"
        gone = [name for name, side in zip(("on", "off"), sides, strict=True) if not len(side)]
        measure += "".join(f"; images with the gate {name} (there are none)" for name in gone)
    stand_in = "true classes (unknown: the predicted ones stand in)" * (by == "prediction")
    return join_notes([measure, stand_in])


def _show(axes: Axes, picture: bytes) -> None:
    if not picture:
        axes.text(0.5, 0.5, "no\nthumbnail", ha="center", va="center", size=7)
        return
    from PIL import Image

    axes.imshow(np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")))
