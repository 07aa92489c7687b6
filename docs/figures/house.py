"""The picture of the house: rooms, and which way data flows.

    python docs/figures/house.py

writes `house.svg` beside this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

INK, MODEL, WAIST, READING = "#333333", "#DCEAF4", "#1f5f8b", "#E4F1E4"
Room = tuple[str, str]

MODEL_SIDE: list[Room] = [
    ("models, datasets", "networks and images"),
    ("decoupling", "gating modules, hash, losses, cost"),
    ("training", "recipes, the loop, runs"),
    ("recorder", "a run fills a recording"),
    ("skipping, deploying", "only the filters that are on; cuts; times"),
]
READING_SIDE: list[Room] = [
    ("analysis", "one folder a question"),
    ("detection", "images whose paths stray"),
    ("concept_tables", "masks, boxes, attributes"),
    ("reporting", "figures and the page"),
    ("exploring", "browse() in Jupyter"),
]
ACROSS: list[Room] = [
    (
        "probing",
        "swaps, ablations, explanations: needs the network, writes tables beside the recording",
    ),
    ("attacking", "altered images of a run, made and recorded"),
    ("cli, demo", "one file a command; the whole road"),
]


def draw_room(axes: Any, room: Room, left: float, bottom: float, width: float, colour: str) -> None:
    """A box with a name and what is in it."""
    shape = "round,pad=0,rounding_size=0.08"
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom), width, 0.62, boxstyle=shape, facecolor=colour, edgecolor="none"
        )
    )
    name, what = room
    axes.text(left + 0.14, bottom + 0.42, name, weight="bold", size=9, va="center", color=INK)
    axes.text(left + 0.14, bottom + 0.18, what, size=7.5, va="center", color=INK)


def draw_column(axes: Any, title: str, rooms: list[Room], left: float, colour: str) -> None:
    """Rooms below a title, the first on top."""
    axes.text(left, 5.72, title, size=9.5, weight="bold", color=INK)
    for place, room in enumerate(rooms):
        draw_room(axes, room, left, 4.9 - 0.72 * place, 3.3, colour)


def draw_arrow(axes: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Which way data flows."""
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=14, color=WAIST, linewidth=1.6)
    )


def draw() -> Figure:
    """Two columns with the recording between them, and below what spans both."""
    mpl.rcParams.update({"font.family": "DejaVu Sans", "svg.hashsalt": "pathlens"})
    figure = Figure(figsize=(9.6, 5.6))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 9.6), ylim=(-0.55, 6.1))
    axes.axis("off")
    draw_column(axes, "with torch", MODEL_SIDE, 0.2, MODEL)
    draw_column(axes, "without torch", READING_SIDE, 6.1, READING)
    box = FancyBboxPatch(
        (4.05, 2.4),
        1.5,
        2.6,
        boxstyle="round,pad=0,rounding_size=0.1",
        facecolor=WAIST,
        edgecolor="none",
    )
    axes.add_patch(box)
    centre: dict[str, Any] = {"ha": "center", "va": "center", "color": "white"}
    axes.text(4.8, 4.2, "recording", size=11, weight="bold", **centre)
    axes.text(
        4.8, 3.45, "Parquet\na row an image,\na bit a filter", size=8.5, linespacing=1.4, **centre
    )
    draw_arrow(axes, (3.55, 3.7), (4.03, 3.7))
    draw_arrow(axes, (5.57, 3.7), (6.05, 3.7))
    axes.text(0.2, 1.62, "on both sides", size=9.5, weight="bold", color=INK)
    draw_room(axes, ACROSS[0], 0.2, 0.85, 9.2, "#F4E9DA")
    draw_room(axes, ACROSS[1], 0.2, 0.13, 4.5, "#F4E9DA")
    draw_room(axes, ACROSS[2], 4.9, 0.13, 4.5, "#F4E9DA")
    small = "errors, files, lock, layers, concepts, runs: small nouns that every room shares"
    axes.text(0.2, -0.28, small, size=8, color=INK)
    return figure


if __name__ == "__main__":
    target = Path(__file__).with_name("house.svg")
    draw().savefig(target, metadata={"Date": None})
