"""The four backgrounds of the scenes: sky, grass, sand and night."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pathlens.datasets.scene_plan import SIZE

Canvas = npt.NDArray[np.float32]
"""float32 (height, width, 3): RGB, 0 to 255."""

Colour = tuple[int, int, int]
_ROWS = np.arange(SIZE, dtype=np.float32)[:, None]
_COLUMNS = np.arange(SIZE, dtype=np.float32)[None, :]


def paint_background(name: str, rng: np.random.Generator) -> Canvas:
    """A background: float32 (64, 64, 3), its small things placed by `rng`."""
    return _PAINTERS[name](rng)


def _gradient(top: Colour, bottom: Colour) -> Canvas:
    share = (_ROWS / np.float32(SIZE - 1))[..., None]
    row = np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share
    return np.repeat(row, SIZE, axis=1).astype(np.float32)


def _lighten(canvas: Canvas, amount: npt.NDArray[np.float32]) -> Canvas:
    canvas += amount[..., None]
    return canvas


def _sky(rng: np.random.Generator) -> Canvas:
    """Light blue, paler towards the bottom, with three soft clouds."""
    canvas = _gradient((124, 184, 236), (206, 230, 248))
    clouds = np.zeros((SIZE, SIZE), np.float32)
    for x, y, width in rng.uniform((0, 2, 7), (SIZE, 44, 13), (3, 3)).astype(np.float32):
        across, down = (_COLUMNS - x) / width, (_ROWS - y) / (np.float32(0.35) * width)
        clouds += np.exp(-(across * across + down * down))
    share = np.float32(0.8) * np.minimum(clouds, 1)[..., None]
    canvas += share * (np.float32(250) - canvas)
    return canvas


def _grass(rng: np.random.Generator) -> Canvas:
    """Light green with upright blades."""
    blades = rng.uniform(-22, 22, (SIZE // 4, SIZE)).astype(np.float32)
    return _lighten(_gradient((150, 196, 92), (112, 168, 66)), np.repeat(blades, 4, axis=0))


def _sand(rng: np.random.Generator) -> Canvas:
    """Beige with ripples."""
    shift, bend = rng.uniform(0, 6.28, 2).astype(np.float32)
    wave = np.float32(2.2) * np.sin(_COLUMNS / np.float32(9) + bend)
    ripples = np.float32(11) * np.sin((_ROWS + wave) / np.float32(1.6) + shift)
    return _lighten(_gradient((232, 212, 170), (214, 184, 136)), ripples)


def _night(rng: np.random.Generator) -> Canvas:
    """Dark blue with some thirty stars."""
    canvas = _gradient((12, 16, 44), (44, 44, 92))
    spots = rng.integers(0, SIZE, (30, 2))
    canvas[spots[:, 0], spots[:, 1]] += rng.uniform(70, 190, (30, 1)).astype(np.float32)
    return canvas


_PAINTERS: dict[str, Callable[[np.random.Generator], Canvas]] = {
    "sky": _sky,
    "grass": _grass,
    "sand": _sand,
    "night": _night,
}
