"""Mutual information between the path and an attribute of the image."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathlens.decoupling.path import Path
from pathlens.layers import LayerTable


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

    def by_layer(self, path: Path, attribute: Tensor) -> Tensor:
        """Cross-entropy of each layer's classifier, (layers,), in nats.

        Args:
            path: Gates that carry a gradient.
            attribute: (N,) integers.
        """
        return torch.stack(
            [
                F.cross_entropy(classifier(path[name]), attribute)
                for name, classifier in zip(self.names, self.classifiers, strict=True)
            ]
        )

    def forward(self, path: Path, attribute: Tensor) -> Tensor:
        """Return the loss, a scalar in nats, for a path and attribute values (N,)."""
        losses = self.by_layer(path, attribute)
        return losses.sum() if self.reduction == "sum" else losses.mean()
