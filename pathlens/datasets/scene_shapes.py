"""Signed distances of the scenes' shapes: below zero inside, above zero outside.

A distance in pixels gives an antialiased edge directly: the share of a pixel that is covered is
about 0.5 - distance, clipped to [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
"""float32 (height, width): one number for every pixel."""

Outline = Callable[[Plane, Plane], Plane]
"""Signed distance from coordinates (x to the right, y down), in units of the thing's radius."""

_POINT = np.pi / 5
_STAR_OUTER = 1.12
_STAR_INNER = 0.56


def disc(x: Plane, y: Plane, radius: float) -> Plane:
    """Signed distance of a disc around the origin."""
    distance: Plane = np.hypot(x, y) - np.float32(radius)
    return distance


def box(x: Plane, y: Plane, half_width: float, half_height: float) -> Plane:
    """Distance to the nearest side of a box around the origin (exact but beyond the corners)."""
    right, down = np.abs(x) - np.float32(half_width), np.abs(y) - np.float32(half_height)
    distance: Plane = np.maximum(right, down)
    return distance


def circle(x: Plane, y: Plane) -> Plane:
    """Signed distance of the circle."""
    return disc(x, y, 0.95)


def square(x: Plane, y: Plane) -> Plane:
    """Signed distance of the square."""
    return box(x, y, 0.85, 0.85)


def triangle(x: Plane, y: Plane) -> Plane:
    """Signed distance of an equilateral triangle that points upwards."""
    slanted = np.float32(0.866) * np.abs(x) - np.float32(0.5) * y
    distance: Plane = np.maximum(slanted - np.float32(0.575), y - np.float32(0.8))
    return distance


def star(x: Plane, y: Plane) -> Plane:
    """Signed distance of a star with five points, one of them upwards.

    All points look alike, so the plane is folded onto half of one point, where the star is what
    lies on the inner side of one straight edge.
    """
    reach = np.hypot(x, y)
    turn = np.abs(np.mod(np.arctan2(x, -y) + np.float32(_POINT), np.float32(2 * _POINT)) - _POINT)
    along, across = reach * np.cos(turn), reach * np.sin(turn)
    edge = np.array([_STAR_INNER * np.cos(_POINT) - _STAR_OUTER, _STAR_INNER * np.sin(_POINT)])
    normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
    distance: Plane = (along - _STAR_OUTER) * normal[0] + across * normal[1]
    return distance.astype(np.float32)


def cross(x: Plane, y: Plane) -> Plane:
    """Signed distance of an upright cross with equal arms."""
    return np.minimum(box(x, y, 0.36, 0.98), box(x, y, 0.98, 0.36))


OUTLINES: dict[str, Outline] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "cross": cross,
}

WHEEL_PLACES = {
    "circle": (0.5, 0.9),
    "square": (0.55, 0.92),
    "triangle": (0.6, 0.9),
    "star": (0.62, 0.92),
    "cross": (0.42, 1.0),
}
"""Distance of both wheels from the middle line, and their height below the centre, in radii."""
