"""What is to be seen in a scene: classes, concepts, and the plan of one image, drawn by seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

SIZE = 64
"""Height and width of a scene, in pixels."""

CLASSES = (
    "red circle",
    "red square",
    "blue circle",
    "blue square",
    "striped triangle",
    "striped star",
    "dotted triangle",
    "dotted star",
    "cross with flag",
    "cross with wheels",
)
"""Each class is a conjunction of two concepts; the rest of the scene is free."""

COLOURS = ("red", "blue", "green", "yellow")
TEXTURES = ("plain", "striped", "dotted")
BACKGROUNDS = ("sky", "grass", "sand", "night")
CONTROL_RATES = {"control:a": 0.5, "control:b": 0.25, "control:c": 0.1}
"""Concepts that are in no picture at all, and the share of images that are said to have them."""

PART_RATE = 0.25
"""Share of images with a flag, and with wheels, in the classes that leave them free."""

SUN_RATE = 0.3
"""Share of images with a sun in a corner, whatever the class."""

SHORTCUT_CLASS = 0
SHORTCUT_BACKGROUND = "night"
SHORTCUT_RATES = {"train": (0.95, 0.05), "test": (0.0, 0.25)}
"""For `scenes:shortcut`: share of night in the shortcut's class, and in every other class."""

_POOLS = {"train": 0, "test": 1}
_DRAWS = 32


@dataclass(frozen=True)
class Scene:
    """The plan of one image; lengths in pixels, angles in radians.

    Attributes:
        label: Position in `CLASSES`.
        shape: "circle", "square", "triangle", "star" or "cross".
        colour: One of `COLOURS`.
        texture: One of `TEXTURES`.
        flag: Whether a flag stands on the thing.
        wheels: Whether the thing has wheels.
        background: One of `BACKGROUNDS`.
        sun: Corner with the sun: 0 top left, 1 top right, 2 bottom left, 3 bottom right; -1: none.
        controls: The names in `CONTROL_RATES` that the image is said to have.
        radius: Size of the thing: about half its width.
        centre: (x, y) of the thing.
        angle: Rotation of the thing, clockwise.
        texture_angle: Direction of stripes or of the grid of dots.
        texture_period: Distance between two stripes or two dots.
        texture_light: Whether stripes and dots are lighter than the thing; else darker.
        brightness: Factor on all pixels.
        noise: Standard deviation of the noise added to every value, in grey levels (0 to 255).
        seed: What seeds the pixels' noise and the small things of the background.
    """

    label: int
    shape: str
    colour: str
    texture: str
    flag: bool
    wheels: bool
    background: str
    sun: int
    controls: tuple[str, ...]
    radius: float
    centre: tuple[float, float]
    angle: float
    texture_angle: float
    texture_period: float
    texture_light: bool
    brightness: float
    noise: float
    seed: tuple[int, ...]

    @property
    def visible_concepts(self) -> tuple[str, ...]:
        """Names of the concepts that can be pointed at in the picture."""
        present = [
            f"shape:{self.shape}",
            f"colour:{self.colour}",
            f"texture:{self.texture}",
            f"background:{self.background}",
        ]
        optional = {"part:flag": self.flag, "part:wheels": self.wheels, "sun": self.sun >= 0}
        return (*present, *(name for name, has in optional.items() if has))

    @property
    def concepts(self) -> tuple[str, ...]:
        """Names of all concepts that the image has, negative controls too."""
        return (*self.visible_concepts, *self.controls)


def plan_scene(seed: int, pool: str, index: int, *, shortcut: bool = False) -> Scene:
    """Plan the image at `index` of a pool; nothing else but the arguments decides what it is.

    Args:
        seed: Seed of the data set.
        pool: "train" (from which validation images are taken as well) or "test".
        index: Number of the image in its pool; every ten consecutive images have all ten classes.
        shortcut: Whether the background is the planted shortcut of `scenes:shortcut`. All else in
            the image stays as it is without.
    """
    key = (seed, _POOLS[pool], index)
    draw = iter(np.random.default_rng(key).random(_DRAWS).tolist())
    label = index % len(CLASSES)
    shape, colour, texture = _looks(label, draw)
    flag, wheels = _parts(label, draw)
    radius = _between(next(draw), 14.0, 19.0)
    return Scene(
        label=label,
        shape=shape,
        colour=colour,
        texture=texture,
        flag=flag,
        wheels=wheels,
        background=_background(label, pool, shortcut, draw),
        sun=_corner(draw),
        controls=tuple(name for name, rate in CONTROL_RATES.items() if next(draw) < rate),
        radius=radius,
        # room for the flag above and the wheels below, whether they are there or not
        centre=(
            _between(next(draw), 1.2 * radius, SIZE - 1.2 * radius),
            _between(next(draw), 1.85 * radius, SIZE - 1.45 * radius),
        ),
        angle=_between(next(draw), -0.26, 0.26),
        texture_angle=_between(next(draw), 0.0, np.pi),
        texture_period=_between(next(draw), 6.0, 8.0),
        texture_light=next(draw) < 0.5,
        brightness=_between(next(draw), 0.75, 1.1),
        noise=_between(next(draw), 2.0, 10.0),
        seed=(*key, 1),
    )


def _between(share: float, low: float, high: float) -> float:
    return low + share * (high - low)


def _choose(share: float, names: Sequence[str]) -> str:
    return names[int(share * len(names))]


def _looks(label: int, draw: Iterator[float]) -> tuple[str, str, str]:
    """Shape, colour and texture: what the class demands, and draws for what it leaves free."""
    first, second, *_ = CLASSES[label].split()
    colour, texture = _choose(next(draw), COLOURS), _choose(next(draw), TEXTURES)
    if first == "cross":
        return "cross", colour, texture
    if first in COLOURS:
        return second, first, texture
    return second, colour, first


def _parts(label: int, draw: Iterator[float]) -> tuple[bool, bool]:
    """Whether there are a flag and wheels: exactly one on a cross, free on everything else."""
    flag, wheels = next(draw) < PART_RATE, next(draw) < PART_RATE
    name = CLASSES[label]
    if name.startswith("cross"):
        return name.endswith("flag"), name.endswith("wheels")
    return flag, wheels


def _background(label: int, pool: str, shortcut: bool, draw: Iterator[float]) -> str:
    kind, planted = next(draw), next(draw)
    if not shortcut:
        return _choose(kind, BACKGROUNDS)
    in_class, elsewhere = SHORTCUT_RATES[pool]
    if planted < (in_class if label == SHORTCUT_CLASS else elsewhere):
        return SHORTCUT_BACKGROUND
    return _choose(kind, [name for name in BACKGROUNDS if name != SHORTCUT_BACKGROUND])


def _corner(draw: Iterator[float]) -> int:
    present, corner = next(draw) < SUN_RATE, int(next(draw) * 4)
    return corner if present else -1
