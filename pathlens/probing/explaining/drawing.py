"""The figure of one explained image: picture, path, where filters respond, nearest images."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.drawing import FAINT, INK, PALETTE, house_style, new_figure
from pathlens.probing.explaining.captions import (
    decision_caption,
    fitted,
    neighbour_caption,
    neighbour_title,
    weight_caption,
    wrapped,
)
from pathlens.probing.explaining.explanation import UNUSUAL, Explanation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_OFF, _ON, _ODD_OFF, _ODD_ON = "#BFC4CA", PALETTE[0], PALETTE[4], PALETTE[1]
_ALWAYS_OFF, _ALWAYS_ON = "#EEF0F2", "#B9D6E8"
_CONCEPTS = 4
_WIDTH, _MARGIN = 11.0, 0.25
_PATH, _LAYER, _CONCEPT = 6.6, 1.3, 1.3
"""Inches for the lines above the path, and for names of layers and of concepts."""
_LINE = 0.25  # of a heading, with some air
_FEWEST_MAPS, _FEWEST_NEIGHBOURS = 6, 8
_SHADES = 0.22
"""How much of a picture's brightness is left where a filter does not respond."""


def draw(explanation: Explanation) -> Figure:
    """One figure, from the picture down to the images whose paths are near."""
    with house_style():
        heights = _heights(explanation)
        figure = new_figure(_WIDTH, sum(heights))
        top, middle, bottom = figure.subfigures(3, 1, height_ratios=heights, squeeze=False)[:, 0]
        _draw_top(top, explanation)
        _draw_responses(middle, explanation)
        _draw_neighbours(bottom, explanation)
    return figure


def _heights(explanation: Explanation) -> list[float]:
    """Inches for picture and path, for where filters respond, and for the nearest images."""
    path = max(2.6, 0.19 * len(explanation.layers))
    responses = 3.05 + _LINE * _title_lines(explanation.holding()).count("\n")
    if explanation.beside is None:
        return [1.3 + path, responses, 0.7]
    nearest = 2.55 + _LINE * _title_lines(neighbour_title(explanation)).count("\n")
    return [1.3 + path, responses, nearest]


def _title_lines(title: str) -> str:
    return wrapped(title, _WIDTH - 4 * _MARGIN, 9.5, bold=True)


def _heading(part: SubFigure, title: str) -> None:
    part.suptitle(_title_lines(title), x=0.01, ha="left", size=9.5, weight="bold")


def _draw_top(part: SubFigure, explanation: Explanation) -> None:
    left, right = part.subplots(1, 2, width_ratios=[0.3, 1])
    left.imshow(explanation.picture, interpolation="nearest")
    left.set_title(decision_caption(explanation), fontsize=9)
    left.set_anchor("N")
    _bare(left)
    _draw_concepts(left, explanation)
    _draw_path(right, explanation)


def _draw_concepts(axes: Axes, explanation: Explanation) -> None:
    """Under the picture: concepts of which the path holds more combinations than most do."""
    if explanation.hits is None:
        return
    rows = explanation.hits.concepts
    rows = rows[rows["hit"] > rows["expected"]].head(_CONCEPTS)
    lines = []
    for row in rows.to_dict("records"):
        name = fitted(row["concept"], _CONCEPT, 7.5)
        lines.append(f"{name}: {row['hit']} of {row['confirmed']} ({row['expected']:.0f})")
    title = "Confirmed combinations on its path\n(on an average path):"
    text = "\n".join([title, *(lines or ["no more than on others"])])
    axes.text(0, -0.06, text, transform=axes.transAxes, va="top", fontsize=7.5, linespacing=1.35)


def _draw_path(axes: Axes, explanation: Explanation) -> None:
    """A row a layer, a stroke a filter, in shades of on and off, usual and unusual."""
    from matplotlib.colors import ListedColormap

    colours = ListedColormap([_OFF, _ON, _ALWAYS_OFF, _ALWAYS_ON, _ODD_OFF, _ODD_ON])
    layers = explanation.layers
    for row, (_, gates) in enumerate(explanation.frame.groupby("layer", sort=True)):
        kind = _kinds(gates)
        place = (0.0, 1.0, row + 0.4, row - 0.4)
        shown: dict[str, Any] = {"aspect": "auto", "interpolation": "nearest", "extent": place}
        axes.imshow(kind[None], cmap=colours, vmin=0, vmax=5, **shown)
        marked = np.flatnonzero(gates["in_set"])
        places = (marked + 0.5) / len(gates)
        axes.plot(places, np.full(len(marked), row), "D", ms=4.5, mfc="white", mec="black", mew=1.1)
    size = 7.5 if len(layers) <= 30 else 5.5
    names = [f"{x.layer}  {fitted(str(x.name), _LAYER, size)}" for x in layers.itertuples()]
    axes.set_yticks(range(len(layers)), names, fontsize=size)
    axes.set(xlim=(0, 1), ylim=(len(layers) - 0.5, -0.5), xticks=[])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _draw_columns(axes, explanation, size)
    axes.set_title(_path_title(explanation))
    _draw_legend(axes, explanation)


def _kinds(gates: pd.DataFrame) -> Any:
    """Colour of each gate: 0 off, 1 on; 2 more if all recorded images have it so, 4 if few do."""
    on = gates["on"].to_numpy()
    of_class = np.where(on, gates["class_rate"], 1 - gates["class_rate"])
    of_all = np.where(on, gates["rate"], 1 - gates["rate"])
    return on + np.where(of_class <= UNUSUAL, 4, np.where(of_all == 1, 2, 0))


def _draw_columns(axes: Axes, explanation: Explanation, size: float) -> None:
    """Beside each row: filters that are on, and how typical the gates of the layer are."""
    at: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": size}
    known = explanation.beside is not None
    axes.text(1.075, -1.0, "on", ha="right", **{**at, "va": "bottom"})
    if known:
        axes.text(1.15, -1.0, "more\ntypical\nthan", ha="right", **{**at, "va": "bottom"})
    for row, layer in enumerate(explanation.layers.to_dict("records")):
        axes.text(1.075, row, f"{layer['on']} of {layer['filters']}", ha="right", **at)
        if known and not np.isnan(layer["percentile"]):
            axes.text(1.15, row, f"{layer['percentile']:.0%}", ha="right", **at)


def _path_title(explanation: Explanation) -> str:
    on, all_filters = (int(explanation.layers[name].sum()) for name in ("on", "filters"))
    said = f"Its path: {on:,} of {all_filters:,} filters, {explanation.macs_share:.0%} of multiply-adds"
    by = explanation.beside
    if by is not None and by.images:
        name = explanation.class_name(explanation.prediction)
        more = (
            f"more typical than {by.percentile:.0%} of the {by.images:,} recorded images taken for "
        )
        said += ";\n" + fitted(more + name, _PATH, 10, bold=True)
    return said


def _draw_legend(axes: Axes, explanation: Explanation) -> None:
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(color=_ON, label="on"), Patch(color=_OFF, label="off")]
    if explanation.beside is not None and explanation.beside.images:
        share = f"as {UNUSUAL:.0%} of its class or fewer"
        handles += [
            (Patch(color=_ALWAYS_ON), Patch(color=_ALWAYS_OFF)),
            Patch(color=_ODD_ON, label=f"on, {share}"),
            Patch(color=_ODD_OFF, label=f"off, {share}"),
        ]
    if explanation.flips.members:
        flips = explanation.flips.flips
        label = "ablating these flips the decision" if flips else "weigh most; do not flip it"
        if len(explanation.flips.members) == 1:
            label = "ablating this flips the decision" if flips else "weighs most; does not flip it"
        mark = {"marker": "D", "ms": 4.5, "mfc": "white", "mec": "black", "lw": 0}
        handles.append(Line2D([], [], label=label, **mark))  # type: ignore[arg-type]
    labels = [
        "the same for all images" if isinstance(one, tuple) else one.get_label() for one in handles
    ]
    axes.legend(
        handles,
        labels,
        handler_map={tuple: HandlerTuple(ndivide=None)},
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=3,
    )


def _draw_responses(part: SubFigure, explanation: Explanation) -> None:
    """Pictures, bright where a filter responds."""
    _heading(part, explanation.holding())
    if not explanation.maps:
        return
    count = max(_FEWEST_MAPS, len(explanation.maps))
    columns = part.subplots(1, count, squeeze=False)[0]
    for axes in columns:
        axes.axis("off")
    for axes, (one, strength) in zip(columns, explanation.maps.items(), strict=False):
        axes.axis("on")
        _spotlight(axes, explanation.picture, np.abs(strength))
        axes.set_title(f"layer {explanation.number(one[0])}, filter {one[1]}", fontsize=8.5, pad=4)
        axes.set_xlabel(weight_caption(explanation, one, _WIDTH / count - _MARGIN), fontsize=7.5)
    part.supxlabel(
        "Bright, inside the line: where the filter's output is above half of its largest (each filter "
        "on its own scale). A filter sees more than the place it responds at, in late layers often "
        "all.\nGates are decided before the filter runs: the image is routed through these filters. "
        "Margin: logit of the class less the largest other; the decision flips below 0.",
        fontsize=7.5,
        color=INK,
        x=0.01,
        ha="left",
    )


def _spotlight(axes: Axes, picture: npt.NDArray[np.uint8], strength: Any) -> None:
    peak = float(strength.max())
    share = strength / peak if peak > 0 else np.zeros_like(strength)
    light = _SHADES + (1 - _SHADES) * share
    axes.imshow((picture * light[..., None]).astype(np.uint8), interpolation="nearest")
    if peak > 0 and share.min() < 0.5:
        axes.contour(share, levels=[0.5], colors=["white"], linewidths=2.2)
        axes.contour(share, levels=[0.5], colors=[_ODD_ON], linewidths=1.2)
    _bare(axes)


def _draw_neighbours(part: SubFigure, explanation: Explanation) -> None:
    by = explanation.beside
    if by is None:
        missing = f"Left out: {explanation.left_out}."
        part.text(0.01, 0.75, wrapped(missing, _WIDTH - 2 * _MARGIN, 9), va="top")
        return
    _heading(part, neighbour_title(explanation))
    count = max(_FEWEST_NEIGHBOURS, len(by.neighbours))
    columns = part.subplots(1, count, squeeze=False)[0]
    inches = _WIDTH / count - _MARGIN
    for axes in columns:
        axes.axis("off")
    for axes, row, content in zip(
        columns, by.neighbours.to_dict("records"), explanation.thumbnails, strict=False
    ):
        axes.axis("on")
        axes.imshow(_opened(content), interpolation="nearest")
        if not content:
            name = wrapped(str(row["image"]), inches, 7)
            axes.text(0.5, 0.5, name, transform=axes.transAxes, ha="center", va="center", size=7)
        _bare(axes)
        axes.set_xlabel(neighbour_caption(explanation, row, inches), fontsize=7.5)
        if row["same"]:
            axes.spines[:].set(visible=True, color=_ON, linewidth=2.5)


def _opened(content: bytes) -> npt.NDArray[np.uint8]:
    """A thumbnail, or light grey where there is none."""
    from PIL import Image

    if not content:
        return np.full((8, 8, 3), 236, dtype=np.uint8)
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=FAINT)
