"""Which way a step goes that is to fool a network and to please a detector."""

from __future__ import annotations

import torch
from torch import Tensor

from pathlens.attacking.watching import Pull


def unit(gradients: Tensor) -> Tensor:
    """Each image's gradient (N, ...) at Euclidean length 1; a gradient of zeros as it is."""
    lengths = gradients.flatten(1).norm(dim=1).view(-1, *[1] * (gradients.dim() - 1))
    scaled: Tensor = gradients / lengths.clamp_min(torch.finfo(gradients.dtype).tiny)
    return scaled


def without(gradients: Tensor, other: Tensor) -> Tensor:
    """The component of each gradient (N, ...) orthogonal to the other of the same image."""
    aside = unit(other)
    along = (unit(gradients) * aside).flatten(1).sum(1).view(-1, *[1] * (gradients.dim() - 1))
    return unit(gradients) - along * aside


def weighted(pull: Pull, weights: Tensor, threshold: float) -> Tensor:
    """Ascent of CE - weight * max(score - threshold, 0), as (N, 3, H, W).

    Both gradients are brought to length 1 first, so that weights have no unit and mean the same for
    every detector, and a confident image, whose cross-entropy has hardly a gradient, is moved too.

    Args:
        pull: The gradients.
        weights: One an image, (N,).
        threshold: Score above which an image is flagged.
    """
    active = weights * (pull.score > threshold)
    return unit(pull.network) - active.view(-1, 1, 1, 1) * unit(pull.detector)


def orthogonal(pull: Pull) -> Tensor:
    """The step of orthogonal projected gradient descent, at length 1, as (N, 3, H, W).

    An image that is not misclassified goes up the cross-entropy, at right angles to the detector's
    gradient; a misclassified one goes down the detector's score, at right angles to the
    network's (Bryniarski et al., arXiv 2106.15023, section 4).
    """
    fooling = without(pull.network, pull.detector)
    hiding = without(pull.detector, pull.network)
    return unit(torch.where(pull.fooled.view(-1, 1, 1, 1), -hiding, fooling))
