"""Bootstrap over images: the same images drawn for everything that is measured on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pathlens.analysis.source import Floats, Ints


def bootstrap_means(values: Any, resamples: int, rng: np.random.Generator) -> Floats:
    """Means over images drawn with replacement: float64 (resamples, ...).

    Values of one image stay together, so that differences of columns are paired (Efron 1979).

    Args:
        values: (images, ...), any numbers.
        resamples: Number of bootstrap samples.
        rng: Draws the images.
    """
    images = len(values)
    drawn = [values[rng.integers(0, images, images)].mean(axis=0) for _ in range(resamples)]
    return np.asarray(drawn, dtype=np.float64)


def resample_within(groups: Ints, rng: np.random.Generator) -> Ints:
    """Positions of images drawn with replacement, of every group as many as it has.

    Args:
        groups: int64 (images,), the group of each image.
        rng: Draws them.
    """
    return np.concatenate(
        [rng.choice(members, len(members)) for members in _members(groups)]
    ).astype(np.int64)


def chance_of_control(effect: float, controls: Any) -> float:
    """Share of controls with at least as large an effect, the set itself counted among them.

    (1 + hits) / (1 + controls), which is never 0 (Phipson & Smyth 2010); NaN without controls.

    Args:
        effect: What the set does.
        controls: (controls,), what each matched random set does.
    """
    if not len(controls):
        return float("nan")
    # Means of equal images differ in their last digit with the order of summation.
    hits = int((np.asarray(controls) >= effect - 1e-9).sum())
    return (1 + hits) / (1 + len(controls))


def spread(controls: Floats) -> dict[str, float]:
    """Mean of what controls do, and where 95 % of them lie; NaN without any.

    Args:
        controls: (controls,).

    Returns:
        `control`, `control_low` and `control_high`.
    """
    names = ("control", "control_low", "control_high")
    if not len(controls):
        return dict.fromkeys(names, float("nan"))
    values = (controls.mean(), *np.quantile(controls, [0.025, 0.975]))
    return dict(zip(names, map(float, values), strict=True))


def _members(groups: Ints) -> list[Ints]:
    return [np.flatnonzero(groups == group) for group in np.unique(groups)]
