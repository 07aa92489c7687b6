"""Square attack: a score-based random search, without gradients.

Source: Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack via random
search", ECCV 2020 (arXiv 1912.00049), the L-inf variant and its schedule. The libraries that are
kept either lack it or draw one square for a whole batch, so it is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""From images (n, 3, H, W) in [0, 1] and their rows int64 (n,) to losses (n,); below 0 is success."""

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Queries, of 10,000, after which the share of changed pixels halves."""


def margin(scores: Tensor, labels: Tensor) -> Tensor:
    """Score of the true class above the best other one, (N,); below 0 if misclassified."""
    true = scores.gather(1, labels[:, None]).squeeze(1)
    return true - scores.scatter(1, labels[:, None], -torch.inf).amax(1)


def square_search(
    loss: Loss,
    images: Tensor,
    epsilon: float,
    *,
    queries: int,
    share: float,
    generators: Sequence[np.random.Generator],
) -> tuple[Tensor, Tensor]:
    """Change squares of every image at random for as long as the loss is not below 0.

    Args:
        loss: What is to be lowered.
        images: float32 (N, 3, H, W) in [0, 1].
        epsilon: Every changed value is this far from the clean one, within [0, 1].
        queries: At most so many losses an image are asked for, at least 1.
        share: Share of an image's pixels in a square at first.
        generators: One an image.

    Returns:
        Attacked images like `images`, and the number of losses asked for, int64 (N,), on the CPU.
    """
    best = torch.stack(
        [_stripes(image, epsilon, rng) for image, rng in zip(images, generators, strict=True)]
    )
    rows = torch.arange(len(images))
    losses = loss(best, rows)
    asked = torch.ones(len(images), dtype=torch.int64)
    for query in range(1, queries):
        rows = (losses >= 0).nonzero().squeeze(1).cpu()
        if not len(rows):
            break
        side = _side(share, query, queries, images.shape[-1])
        tried = torch.stack(
            [_with_square(images[i], best[i], epsilon, side, generators[i]) for i in rows.tolist()]
        )
        new = loss(tried, rows)
        asked[rows] += 1
        places = rows.to(losses.device)
        better = new < losses[places]
        losses[places[better]] = new[better]
        best[places[better]] = tried[better]
    return best, asked


def _stripes(image: Tensor, epsilon: float, rng: np.random.Generator) -> Tensor:
    """The start: vertical stripes of ± epsilon, a sign for every column and channel."""
    signs = rng.choice([-1.0, 1.0], size=(image.shape[0], 1, image.shape[2]))
    change = torch.from_numpy(signs.astype(np.float32)).to(image.device)
    return (image + epsilon * change).clamp(0, 1)


def _side(share: float, query: int, queries: int, width: int) -> int:
    """Side of the square in pixels; the schedule is stretched to the number of queries."""
    scaled = query * 10_000 / queries
    share /= 2 ** sum(scaled > halving for halving in _HALVINGS)
    return min(max(round(float(np.sqrt(share)) * width), 1), width)


def _with_square(
    clean: Tensor, current: Tensor, epsilon: float, side: int, rng: np.random.Generator
) -> Tensor:
    """The current image with a square at a random place, ± epsilon in each channel."""
    top, left = (
        rng.integers(0, clean.shape[1] - side + 1),
        rng.integers(0, clean.shape[2] - side + 1),
    )
    signs = torch.from_numpy(
        rng.choice([-1.0, 1.0], size=(clean.shape[0], 1, 1)).astype(np.float32)
    )
    changed = current.clone()
    window = (slice(None), slice(top, top + side), slice(left, left + side))
    changed[window] = (clean[window] + epsilon * signs.to(clean.device)).clamp(0, 1)
    return changed
