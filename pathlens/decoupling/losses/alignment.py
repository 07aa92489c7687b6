"""Alignment of the choice of filters with their response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pathlens.decoupling.losses.batch_mean import BatchMean, over_batch
from pathlens.decoupling.path import Path


@dataclass(frozen=True)
class Alignment:
    """KL divergence between gates z and pooled responses r, both softmaxed over channels.

    L_kl = Σ over layers of KL(softmax(r) || softmax(z)).

    Attributes:
        direction: "response-gates" is KL(softmax(r) || softmax(z)); "gates-response" the reverse,
            which the released code has for three of its six networks.
        reduction: "batch" is the mean over images; "element" also divides by the number of filters,
            as the released code does (its weight of 1 belongs to this).
        detach: Whether r is a constant target, so that the loss teaches the gates only.
    """

    direction: Literal["response-gates", "gates-response"] = "response-gates"
    reduction: Literal["batch", "element"] = "element"
    detach: bool = False

    def __call__(self, path: Path, mean: BatchMean = over_batch) -> Tensor:
        """Return the loss, a scalar in nats, of a path with responses."""
        images = [self._of_images(path[name], path.responses[name]) for name in path]
        return mean(torch.stack(images, dim=1)).sum()

    def of_layer(self, gates: Tensor, response: Tensor) -> Tensor:
        """Loss of one layer, for gates and responses (N, filters)."""
        return self._of_images(gates, response).mean()

    def _of_images(self, gates: Tensor, response: Tensor) -> Tensor:
        if self.detach:
            response = response.detach()
        response = response.float()
        log_gates = F.log_softmax(gates.float(), dim=1)
        log_response = F.log_softmax(response, dim=1)
        if self.direction == "gates-response":
            log_gates, log_response = log_response, log_gates
        divergence = (log_response.exp() * (log_response - log_gates)).sum(dim=1)
        return divergence / gates.shape[1] if self.reduction == "element" else divergence
