"""How far a share is from where it should be: above a budget that is lowered, or below where it ends."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def outside(share: Tensor, target: float, least: float | None) -> Tensor:
    """Squared distance of a share from [least, target], a scalar; from the target for None.

    While a target is lowered in steps from 1, a network that is ahead of it is left alone: pulling it
    back would open gates that have closed for a reason. Below the final target it is pulled back,
    as gates that are shut for all images no longer learn.
    """
    if least is None:
        return (share - target).square()
    return F.relu(share - target).square() + F.relu(least - share).square()
