"""Drawing one scene: its pixels and the pixel mask of every concept that is to be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathlens.datasets.base import Mask, Pixels
from pathlens.datasets.scene_backgrounds import Canvas, paint_background
from pathlens.datasets.scene_plan import SIZE, Scene
from pathlens.datasets.scene_shapes import OUTLINES, WHEEL_PLACES, Plane, box, disc

_INKS = {
    "red": (214, 48, 49),
    "blue": (38, 84, 208),
    "green": (22, 138, 76),
    "yellow": (248, 202, 46),
}
_RIM = (250, 250, 246)
_FLAG = (188, 62, 178)
_POLE = (92, 74, 66)
_TYRE = (44, 46, 54)
_HUB = (206, 208, 212)
_SUN = (255, 176, 32)
_SUN_RADIUS = 4.2
_SUN_INSET = 6.5
_RIM_WIDTH = 1.1
_WHEEL_RADIUS = 0.33
_PIXELS = np.arange(SIZE, dtype=np.float32) + np.float32(0.5)


@dataclass(frozen=True)
class Stencils:
    """Share of every pixel that each thing covers, float32 (64, 64), 0 to 1, nothing hidden yet.

    Attributes:
        body: The thing itself, its rim included.
        ink: The thing without its rim.
        pole: The pole of the flag.
        cloth: The cloth of the flag.
        wheels: Both wheels, their rim included.
        tyres: Both wheels without their rim.
        hubs: The hubs of both wheels.
        sun: The sun.
    """

    body: Plane
    ink: Plane
    pole: Plane
    cloth: Plane
    wheels: Plane
    tyres: Plane
    hubs: Plane
    sun: Plane


def draw_scene(scene: Scene) -> Pixels:
    """Draw a scene: uint8 (64, 64, 3), RGB; the same plan always gives the same pixels."""
    rng = np.random.default_rng(scene.seed)
    canvas = paint_background(scene.background, rng)
    stencils = _stencils(scene)
    if scene.sun >= 0:
        _lay(canvas, stencils.sun, _SUN)
    if scene.flag:
        _lay(canvas, stencils.pole, _POLE)
        _lay(canvas, stencils.cloth, _FLAG)
    _lay(canvas, stencils.body, _RIM)
    _lay(canvas, stencils.ink, _INKS[scene.colour])
    _lay_texture(canvas, scene, stencils.ink)
    if scene.wheels:
        _lay(canvas, stencils.wheels, _RIM)
        _lay(canvas, stencils.tyres, _TYRE)
        _lay(canvas, stencils.hubs, _HUB)
    canvas *= np.float32(scene.brightness)
    canvas += rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(scene.noise)
    pixels: Pixels = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    return pixels


def draw_masks(scene: Scene) -> dict[str, Mask]:
    """The pixels of every visible concept: concept name -> bool (64, 64).

    A pixel belongs to a thing if more than half of it shows the thing; shape, colour and texture
    are those of the thing without its flag and wheels, and the background is all that is left.
    """
    stencils = _stencils(scene)
    wheels = (stencils.wheels > 0.5) & scene.wheels
    body = (stencils.body > 0.5) & ~wheels
    flag = (np.maximum(stencils.pole, stencils.cloth) > 0.5) & scene.flag & ~body & ~wheels
    front = wheels | body | flag
    sun = (stencils.sun > 0.5) & (scene.sun >= 0) & ~front
    named = {"part:flag": flag, "part:wheels": wheels, "sun": sun}
    masks: dict[str, Mask] = {}
    for concept in scene.visible_concepts:
        if concept in named:
            masks[concept] = named[concept]
        else:
            masks[concept] = ~(front | sun) if concept.startswith("background:") else body.copy()
    return masks


def _coverage(distance: Plane) -> Plane:
    """Share of each pixel that is covered, from the signed distance of its middle, in pixels."""
    share: Plane = np.clip(np.float32(0.5) - distance, 0, 1)
    return share


def _lay(canvas: Canvas, stencil: Plane, colour: tuple[int, int, int], opacity: float = 1) -> None:
    """Paint a colour onto the canvas, in place, as far as the stencil covers each pixel."""
    share = (stencil * np.float32(opacity))[..., None]
    canvas += share * (np.array(colour, np.float32) - canvas)


def _stencils(scene: Scene) -> Stencils:
    x, y = _local_coordinates(scene)
    radius = np.float32(scene.radius)
    body = OUTLINES[scene.shape](x, y) * radius
    apart, below = WHEEL_PLACES[scene.shape]
    from_hub = np.hypot(np.abs(x) - np.float32(apart), y - np.float32(below)) * radius
    wheel = from_hub - np.float32(_WHEEL_RADIUS) * radius
    # the pole starts inside the thing, so that it stands on every shape
    pole = box(x, y + np.float32(1.0), 0.055, 0.75) * radius
    cloth = _pennant(x - np.float32(0.05), y + np.float32(1.5)) * radius
    return Stencils(
        body=_coverage(body),
        ink=_coverage(body + np.float32(_RIM_WIDTH)),
        pole=_coverage(pole),
        cloth=_coverage(cloth),
        wheels=_coverage(wheel),
        tyres=_coverage(wheel + np.float32(_RIM_WIDTH)),
        hubs=_coverage(from_hub - np.float32(0.4 * _WHEEL_RADIUS) * radius),
        sun=_coverage(_sun_distance(scene)),
    )


def _local_coordinates(scene: Scene) -> tuple[Plane, Plane]:
    """Coordinates of every pixel seen from the thing: turned with it, in units of its radius."""
    dx = (_PIXELS - np.float32(scene.centre[0]))[None, :] / np.float32(scene.radius)
    dy = (_PIXELS - np.float32(scene.centre[1]))[:, None] / np.float32(scene.radius)
    cos, sin = np.float32(np.cos(scene.angle)), np.float32(np.sin(scene.angle))
    return dx * cos + dy * sin, dy * cos - dx * sin


def _pennant(x: Plane, y: Plane) -> Plane:
    """Distance of the flag's cloth: a triangle that points to the right from the pole."""
    slanted = np.float32(0.36) * x + np.float32(0.93) * np.abs(y) - np.float32(0.27)
    return np.maximum(slanted, -x)


def _sun_distance(scene: Scene) -> Plane:
    right, bottom = scene.sun % 2, scene.sun // 2 % 2
    x = SIZE - _SUN_INSET if right else _SUN_INSET
    y = SIZE - _SUN_INSET if bottom else _SUN_INSET
    dx, dy = (_PIXELS - np.float32(x))[None, :], (_PIXELS - np.float32(y))[:, None]
    # eight short rays: the edge goes in and out with the direction
    rays = np.float32(0.9) * np.cos(np.float32(8) * np.arctan2(dy, dx))
    distance: Plane = disc(dx, dy, _SUN_RADIUS) - rays
    return distance


def _lay_texture(canvas: Canvas, scene: Scene, ink: Plane) -> None:
    """Paint stripes or dots onto the thing; a plain thing stays as it is."""
    if scene.texture == "plain":
        return
    cos, sin = np.float32(np.cos(scene.texture_angle)), np.float32(np.sin(scene.texture_angle))
    period = np.float32(scene.texture_period)
    dx = (_PIXELS - np.float32(scene.centre[0]))[None, :]
    dy = (_PIXELS - np.float32(scene.centre[1]))[:, None]
    u = _to_nearest(dx * cos + dy * sin, period)
    if scene.texture == "striped":
        marks = _coverage(np.abs(u) - np.float32(0.22) * period)
    else:
        marks = _coverage(disc(u, _to_nearest(dy * cos - dx * sin, period), 0.3 * float(period)))
    tone = (255, 255, 250) if scene.texture_light else (20, 20, 30)
    _lay(canvas, marks * ink, tone, opacity=0.85)


def _to_nearest(position: Plane, period: np.float32) -> Plane:
    """Signed distance along one axis to the nearest multiple of the period."""
    offset: Plane = position - period * np.rint(position / period)
    return offset
