"""The one look of all figures: colours safe for colour-blind readers, calm axes, text as text."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's colours, their yellow darkened as it vanishes on white, and two more.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#222222",
    "#8C5A2B",
    "#9A9500",
    "#8A8F96",
)
# Another number of markers than of colours: 90 classes differ in at least one of the two.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
INK = "#333333"
FAINT = "#C9CDD2"
STATE_COLOURS = {"dynamic": "#0072B2", "high-energy": "#E69F00", "mute": FAINT}

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "figure.facecolor": "white",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Make everything that is drawn inside look alike, whatever the user's own settings are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches; not registered with pyplot, so that nothing leaks."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def figure_bytes(figure: Figure, kind: str, dpi: int = 144) -> bytes:
    """A figure as a file of `kind` ("png", "svg", "pdf"): the same bytes for the same figure.

    Text of vector files stays text.
    """
    import matplotlib

    # A date inside would make two equal figures differ.
    date = {"svg": "Date", "pdf": "CreationDate"}.get(kind)
    target = io.BytesIO()
    fonts: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "pathlens", "pdf.fonttype": 42}
    with matplotlib.rc_context(fonts):
        figure.savefig(target, format=kind, dpi=dpi, metadata={date: None} if date else None)
    return target.getvalue()


def plain_text(text: str, longest: int = 32) -> str:
    """A name as matplotlib must be told it: `$` starts no formula, a leading `_` hides nothing."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    safe = short.replace("$", r"\$")
    return f" {safe}" if safe.startswith("_") else safe


def class_marks(position: int) -> tuple[str, str]:
    """Colour and marker of the class at a position."""
    return PALETTE[position % len(PALETTE)], MARKERS[position % len(MARKERS)]


def empty_figure(title: str, sentence: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    import textwrap

    with house_style():
        figure = new_figure(6.4, 1.6)
        axes = figure.add_subplot()
        axes.axis("off")
        axes.set_title(plain_text(title, 90))
        text = textwrap.fill(sentence, 88).replace("$", r"\$")
        axes.text(0, 0.95, text, va="top", transform=axes.transAxes)
    return figure


def heat_map(
    axes: Axes,
    values: Any,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    notes: Any = None,
    limits: tuple[float, float] = (0.0, 1.0),
    legend: str = "",
) -> None:
    """Draw a matrix as shades with readable names; `notes` (same shape) are written into cells."""
    import seaborn

    seaborn.heatmap(
        values,
        ax=axes,
        vmin=limits[0],
        vmax=limits[1],
        cmap=seaborn.light_palette("#004D7A", as_cmap=True),
        annot=notes if notes is not None else False,
        fmt="",
        annot_kws={"fontsize": 7},
        linewidths=0.6 if max(len(rows), len(columns)) <= 40 else 0,
        linecolor="white",
        cbar_kws={"label": legend, "shrink": 0.7, "pad": 0.02},
        xticklabels=False,
        yticklabels=False,
    )
    axes.set(xlabel="", ylabel="")
    _names(axes, columns, "x")
    _names(axes, rows, "y")


def _names(axes: Axes, names: Sequence[str], side: str) -> None:
    """Write names beside cells while they can be read: every one, else every n-th."""
    step = max(1, -(-len(names) // 60))
    places = range(0, len(names), step)
    size = 8 if len(names) <= 25 else 6
    labels = [plain_text(names[i], 24) for i in places]
    centres = [i + 0.5 for i in places]
    if side == "y":
        axes.set_yticks(centres, labels, rotation=0, fontsize=size)
    else:
        long = max((len(x) for x in labels), default=0) > 3
        angle: dict[str, Any] = (
            {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if long else {}
        )
        axes.set_xticks(centres, labels, fontsize=size, **angle)
    axes.tick_params(length=0)
