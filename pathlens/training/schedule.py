"""What changes over training: pure functions of its progress, from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Callable

from pathlens.decoupling.hashing import GLOBAL_DRAWS, Draws, GumbelHashing, Hashing, SemanticHashing
from pathlens.training.sections import Hash, Losses, Optimiser

HASHES: dict[str, Callable[[Hash, float, bool, Draws], Hashing]] = {
    "semantic": lambda settings, noise, hard, draws: SemanticHashing(
        noise, 1.0 if hard else 0.5, settings.shared_coin, draws
    ),
    "gumbel": lambda settings, noise, hard, draws: GumbelHashing(
        noise, settings.temperature, draws
    ),
}
"""Variants of the hash by the name that a recipe gives, from noise and whether all gates are hard."""


def lr_factor(optimiser: Optimiser, progress: float) -> float:
    """Factor on the peak learning rate."""
    if progress < optimiser.warmup:
        return max(0.02, progress / optimiser.warmup)
    if optimiser.schedule == "steps":
        return float(0.1 ** sum(progress >= milestone for milestone in optimiser.milestones))
    rest = (progress - optimiser.warmup) / (1 - optimiser.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))


def hashing_at(settings: Hash, progress: float, draws: Draws = GLOBAL_DRAWS) -> Hashing:
    """The hash: full noise, then linearly to 0, at last binary gates only.

    Args:
        settings: What the recipe says.
        progress: Share of training that is done.
        draws: Where the random numbers come from.
    """
    make = HASHES[settings.kind]
    if progress >= settings.hard_from and settings.hard_from < 1:
        return make(settings, 0.0, True, draws)
    room = settings.hard_from - settings.noise_until
    over = (progress - settings.noise_until) / room if room > 0 else 0.0
    return make(settings, settings.noise * (1 - min(1.0, max(0.0, over))), False, draws)


def mutual_information_weight(losses: Losses, progress: float) -> float:
    """Weight of the mutual-information loss, grown linearly over its ramp."""
    begin, end = losses.mutual_information_ramp[0], losses.mutual_information_ramp[-1]
    grown = 1.0 if end <= begin else min(1.0, max(0.0, (progress - begin) / (end - begin)))
    return losses.mutual_information * grown


def sparsity_target(losses: Losses, progress: float) -> float:
    """Target of the sparsity loss: lowered from 1 by a cosine, then held."""
    return lowered(losses.sparsity_target, losses.sparsity_lowered_until, progress)


def lowered(target: float, until: float, progress: float) -> float:
    """A share that falls from 1 to its target by half a cosine until a share of training."""
    if until <= 0 or progress >= until:
        return target
    part = 0.5 * (1 - math.cos(math.pi * progress / until))
    return 1 - (1 - target) * part
