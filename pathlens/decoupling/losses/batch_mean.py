"""How the losses take the mean over the images of a batch."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

BatchMean = Callable[[Tensor], Tensor]
"""Maps a value an image, (N,) or (N, k), to the mean over images. Every loss takes one as `mean`:
where a batch is divided over processes, one that averages over all of them."""


def over_batch(values: Tensor) -> Tensor:
    """The mean over the first dimension: the images of one process."""
    return values.mean(dim=0)
