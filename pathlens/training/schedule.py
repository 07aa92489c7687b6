"""What changes over training: pure functions of its progress, from 0 to 1."""

from __future__ import annotations

import math

from pathlens.decoupling.hashing import SemanticHashing
from pathlens.training.recipe import Hash, Losses, Optimiser


def lr_factor(optimiser: Optimiser, progress: float) -> float:
    """Factor on the peak learning rate."""
    if progress < optimiser.warmup:
        return max(0.02, progress / optimiser.warmup)
    if optimiser.schedule == "steps":
        return float(0.1 ** sum(progress >= milestone for milestone in optimiser.milestones))
    rest = (progress - optimiser.warmup) / (1 - optimiser.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))


def hashing_at(settings: Hash, progress: float) -> SemanticHashing:
    """Noise and mixing: full noise, then linearly to 0, at last binary gates only."""
    if progress >= settings.hard_from and settings.hard_from < 1:
        return SemanticHashing(noise=0.0, binary_share=1.0)
    room = settings.hard_from - settings.noise_until
    over = (progress - settings.noise_until) / room if room > 0 else 0.0
    return SemanticHashing(noise=settings.noise * (1 - min(1.0, max(0.0, over))))


def mutual_information_weight(losses: Losses, progress: float) -> float:
    """Weight of the mutual-information loss, grown linearly over its ramp."""
    begin, end = losses.mutual_information_ramp[0], losses.mutual_information_ramp[-1]
    grown = 1.0 if end <= begin else min(1.0, max(0.0, (progress - begin) / (end - begin)))
    return losses.mutual_information * grown


def sparsity_target(losses: Losses, progress: float) -> float:
    """Target of the sparsity loss: lowered from 1 by a cosine, then held."""
    until = losses.sparsity_lowered_until
    if until <= 0 or progress >= until:
        return losses.sparsity_target
    part = 0.5 * (1 - math.cos(math.pi * progress / until))
    return 1 - (1 - losses.sparsity_target) * part
