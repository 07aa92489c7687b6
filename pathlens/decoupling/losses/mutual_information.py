"""Mutual information between the path and an attribute of the image."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathlens.decoupling.losses.batch_mean import BatchMean, over_batch
from pathlens.decoupling.path import Path
from pathlens.layers import LayerTable

UNKNOWN = -100
"""Attribute value of an image that has none."""


class MutualInformation(nn.Module):
    """Cross-entropy of auxiliary classifiers that read an attribute from each gate vector.

    Barber & Agakov's bound: I(a; z) >= H(a) + E[log q(a | z)]; the larger the bound, the smaller this
    loss. q is one linear layer without bias per gated layer, trained with the network.

    Consequence: paths are trained to be predictive of the attribute. With the class as attribute, the
    class purity of paths on training images is circular.

    Args:
        layers: The gated layers (`network.layers`).
        values: Number of values of the attribute; the number of classes if it is the class.
        reduction: Over layers: "sum" as published, or "mean".
    """

    def __init__(
        self, layers: LayerTable, values: int, reduction: Literal["sum", "mean"] = "sum"
    ) -> None:
        super().__init__()
        self.names = layers.names
        self.reduction = reduction
        self.classifiers = nn.ModuleList(
            nn.Linear(layer.filters, values, bias=False) for layer in layers
        )

    def by_layer(self, path: Path, attribute: Tensor, mean: BatchMean = over_batch) -> Tensor:
        """Cross-entropy of each layer's classifier, (layers,), in nats.

        Args:
            path: Gates that carry a gradient.
            attribute: (N,) integers; images with `UNKNOWN` are left out, and if no other is in the
                batch the loss is 0.
            mean: How the mean over the batch is taken.
        """
        losses = [
            F.cross_entropy(
                classifier(path[name]), attribute, ignore_index=UNKNOWN, reduction="none"
            )
            for name, classifier in zip(self.names, self.classifiers, strict=True)
        ]
        known = mean((attribute != UNKNOWN).float())
        # Where no image is known all losses are 0, and so is their quotient.
        return mean(torch.stack(losses, dim=1)) / known.clamp(min=1e-12)

    def forward(self, path: Path, attribute: Tensor, mean: BatchMean = over_batch) -> Tensor:
        """Return the loss, a scalar in nats, for a path and attribute values (N,)."""
        losses = self.by_layer(path, attribute, mean)
        return losses.sum() if self.reduction == "sum" else losses.mean()
