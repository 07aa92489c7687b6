"""The picture of the first page: three images and their paths, from a recording.

    python docs/figures/paths.py runs/demo/recordings/scenes-test

writes `paths.png` beside this file. `pathlens demo` makes that recording.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import pathlens

ROWS = 8
"""Filters on top of each other in a block."""
OFF, ON, OTHER = "#e9edf0", "#1f5f8b", "#c8102e"


def three_images(recording: pathlens.Recording, one: str, other: str) -> list[int]:
    """Two images of one class and one of another, drawn at random."""
    rng = np.random.default_rng(0)
    labels = recording.images["label"].to_numpy()
    classes = list(recording.classes)
    first = rng.choice(np.flatnonzero(labels == classes.index(one)), 2, replace=False)
    second = rng.choice(np.flatnonzero(labels == classes.index(other)))
    return [*first.tolist(), int(second)]


def draw_block(axes: Any, left: float, on: np.ndarray, other: np.ndarray | None) -> float:
    """One layer's filters as small squares; red where the first image's gate differs."""
    columns = -(-len(on) // ROWS)
    for number, gate in enumerate(on):
        x, y = left + number // ROWS, ROWS - 1 - number % ROWS
        differs = other is not None and other[number] != gate
        axes.add_patch(
            mpl.patches.Rectangle(
                (x, y),
                0.82,
                0.82,
                facecolor=ON if gate else OFF,
                edgecolor=OTHER if differs else "none",
                linewidth=1.3,
            )
        )
    return left + columns


def draw(recording: pathlens.Recording, rows: list[int]) -> Figure:
    """A row an image: the picture, then its gates, layer by layer."""
    figure = Figure(figsize=(9.6, 3.9))
    grid = figure.add_gridspec(len(rows), 2, width_ratios=[1, 8], wspace=0.03, hspace=0.32)
    bits = {layer.name: recording.bits(layer.index) for layer in recording.layers}
    pictures = recording.thumbnails(rows)
    labels = recording.images["label"]
    for place, row in enumerate(rows):
        picture = figure.add_subplot(grid[place, 0])
        picture.imshow(Image.open(io.BytesIO(pictures[place])))
        picture.set(xticks=[], yticks=[])
        picture.set_xlabel(recording.classes[labels[row]], fontsize=9, labelpad=2)
        axes = figure.add_subplot(grid[place, 1])
        left = 0.0
        for layer in recording.layers:
            start = left
            reference = bits[layer.name][rows[0]] if place else None
            left = draw_block(axes, left, bits[layer.name][row], reference)
            if place == 0:
                middle = (start + left) / 2
                axes.text(middle, ROWS + 0.6, f"layer {layer.index}", ha="center", fontsize=9)
            left += 1.4
        axes.set(xlim=(-0.8, left), ylim=(-0.2, ROWS + 0.1), aspect="equal", anchor="W")
        axes.axis("off")
    return figure


def main() -> None:
    """Draw the recording named on the command line."""
    recording = pathlens.open_recording(sys.argv[1])
    one, other = sys.argv[2:4] if len(sys.argv) > 3 else recording.classes[:2]
    figure = draw(recording, three_images(recording, one, other))
    target = Path(__file__).with_name("paths.png")
    figure.savefig(target, bbox_inches="tight", dpi=150)


if __name__ == "__main__":
    main()
