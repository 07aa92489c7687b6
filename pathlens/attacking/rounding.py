"""From attacked images in [0, 1] to 8 bits, without leaving the ball and without losing success."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_SLACK = 1e-4
"""In 8-bit levels: what float32 may add to an epsilon that is a whole number of them."""

ENLARGEMENTS = (1.0, 1.02, 1.05, 1.1, 1.2, 1.4, 1.7, 2.0)
"""Factors by which the change of a smallest-norm attack is enlarged until it survives rounding."""

Fools = Callable[[Tensor, Tensor], Tensor]
"""From 8-bit images (n, 3, H, W) and their rows int64 (n,) to whether each is misclassified."""


def rounded(attacked: Tensor) -> Tensor:
    """Images in [0, 1] to the nearest 8-bit ones, uint8 on the CPU."""
    return (attacked.clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def rounded_within_box(attacked: Tensor, clean: Tensor, epsilon: float) -> Tensor:
    """The nearest 8-bit images of which no value is further than `epsilon` from the clean one.

    Args:
        attacked: float32 (N, 3, H, W) in [0, 1].
        clean: uint8 (N, 3, H, W), on the CPU.
        epsilon: Radius; a fraction of a level is rounded down.
    """
    levels = int(epsilon * 255 + _SLACK)
    change = rounded(attacked).short() - clean.short()
    return (clean.short() + change.clamp(-levels, levels)).to(torch.uint8)


def rounded_within_ball(attacked: Tensor, clean: Tensor, epsilon: float) -> Tensor:
    """The 8-bit images near `attacked` whose Euclidean distance from the clean ones is in `epsilon`.

    Values are rounded to the nearest; where that leads out of the ball, those that were rounded
    away from the clean image by the most are rounded towards it, as many as it takes.

    Args:
        attacked: float32 (N, 3, H, W) in [0, 1].
        clean: uint8 (N, 3, H, W), on the CPU.
        epsilon: Radius, of images in [0, 1].
    """
    change = ((attacked.cpu().clamp(0, 1) * 255) - clean.float()).flatten(1)
    nearest, inward = change.round(), change.trunc()
    # What is gained by rounding a value inwards, and how far from the middle it was.
    gain = nearest.square() - inward.square()
    order = torch.where(gain > 0, (nearest - change).abs(), -1.0).argsort(1, descending=True)
    excess = nearest.square().sum(1, keepdim=True) - (epsilon * 255) ** 2
    won = gain.gather(1, order).cumsum(1)
    # A value is rounded inwards if those before it have not won enough.
    needed = (won - gain.gather(1, order)) < excess
    mask = torch.zeros_like(needed).scatter(1, order, needed)
    kept = torch.where(mask, inward, nearest).view(attacked.shape)
    return (clean.float() + kept).to(torch.uint8)


def enlarged(attacked: Tensor, clean: Tensor, fools: Fools) -> Tensor:
    """8-bit images that fool, each with its change enlarged by the first factor that will do.

    A smallest-norm attack stops on the boundary, and rounding takes about half of its images back
    over it.

    Args:
        attacked: float32 (N, 3, H, W) in [0, 1].
        clean: uint8 (N, 3, H, W), on the CPU.
        fools: Decides on 8-bit images.

    Returns:
        uint8 (N, 3, H, W); where no factor of `ENLARGEMENTS` will do, the attacked image rounded.
    """
    found = rounded(attacked)
    base = clean.float() / 255
    change = attacked.cpu() - base
    rows = torch.arange(len(found))
    for factor in ENLARGEMENTS:
        if not len(rows):
            break
        tried = rounded(base[rows] + factor * change[rows])
        done = fools(tried, rows)
        found[rows[done]] = tried[done]
        rows = rows[~done]
    return found
