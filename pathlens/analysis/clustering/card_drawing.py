"""The figure of cluster cards."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from pathlens.analysis.drawing import INK, empty_figure, house_style, new_figure, plain_text
from pathlens.analysis.results import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CARDS = 8
ROLES = {"typical": "typical", "odd": "odd ones out", "other class": "of other classes"}
_COLUMNS = {"typical": 6, "odd": 4, "other class": 4}
_ROW = 1.15


def draw_cards(
    frame: pd.DataFrame,
    images: pd.DataFrame,
    filters: pd.DataFrame,
    pictures: Mapping[str, bytes],
    title: str,
    sentence: str,
) -> Figure:
    """The largest clusters, a row each, from the tables of `ClusterCards`.

    Args:
        frame: Its `frame`.
        images: Its `images`.
        filters: Its `filters`.
        pictures: Its `pictures`; images without one are drawn as their names.
        title: The layers, in words.
        sentence: What to say where there is no cluster.
    """
    heading = f"Cluster cards of paths in {title}"
    shown = frame.head(CARDS)
    if shown.empty:
        return empty_figure(heading, sentence)
    roles = [role for role in ROLES if (images["role"] == role).any()]
    widths = [2.9, *(0.72 * _COLUMNS[role] + 0.15 for role in roles)]
    with house_style():
        figure = new_figure(sum(widths) + 0.3, 0.75 + _ROW * len(shown))
        grid = figure.subplots(
            len(shown), len(widths), squeeze=False, gridspec_kw={"width_ratios": widths}
        )
        for line, card in zip(grid, shown.to_dict("records"), strict=True):
            number = card["cluster"]
            _facts(line[0], card, filters[filters["cluster"] == number])
            own = images[images["cluster"] == number]
            for axes, role in zip(line[1:], roles, strict=True):
                _strip(axes, own[own["role"] == role].head(_COLUMNS[role]), pictures, role)
        for axes, role in zip(grid[0][1:], roles, strict=True):
            axes.set_title(ROLES[role], size=9)
        more = f" (the {CARDS} largest of {len(frame)})" if len(frame) > CARDS else ""
        figure.suptitle(
            f"{plain_text(heading, 90)}{more}", x=0.01, ha="left", size=10, weight="bold"
        )
    return figure


def _facts(axes: Axes, card: dict[Any, Any], filters: pd.DataFrame) -> None:
    axes.axis("off")
    lines = [f"{plural(int(card['images']), 'image')} ({card['share']:.0%})"]
    if card["classes"]:
        lines.append(plain_text(card["classes"], 46))
    lines += [
        f"layer {x['layer']}, filter {x['filter']}: on {x['inside']:.0%} inside, "
        f"{x['outside']:.0%} outside"
        for x in filters.head(3).to_dict("records")
    ]
    axes.text(
        0, 0.98, f"cluster {card['cluster']}", va="top", weight="bold", transform=axes.transAxes
    )
    axes.text(
        0, 0.78, "\n".join(lines), va="top", size=7.5, linespacing=1.35, transform=axes.transAxes
    )


def _strip(axes: Axes, chosen: pd.DataFrame, pictures: Mapping[str, bytes], role: str) -> None:
    """Images side by side, each with its class below; names where there are no pictures."""
    axes.axis("off")
    axes.set(xlim=(0, _COLUMNS[role]), ylim=(-0.3, 1.05))
    for place, row in enumerate(chosen.to_dict("records")):
        picture = _pixels(pictures.get(str(row["image"]), b""))
        if picture is None:
            name = plain_text(str(row["image"]).rpartition("/")[2], 14)
            axes.text(place + 0.47, 0.5, name, ha="center", va="center", size=6, rotation=45)
        else:
            axes.imshow(picture, extent=(place + 0.02, place + 0.92, 0.1, 1.0), aspect="auto")
        label = plain_text(str(row["class"]), 11)
        axes.text(place + 0.47, 0.05, label, ha="center", va="top", size=6.5, color=INK)
    axes.set(xlim=(0, _COLUMNS[role]), ylim=(-0.3, 1.05))


def _pixels(content: bytes) -> Any:
    """The picture as an array; None where there is none or it cannot be read."""
    if not content:
        return None
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError):
        return None
