"""What the scores in torch see of a pass through the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pathlens.detection.detectors.values import Values
from pathlens.layers import LayerTable


class SeenPath(Protocol):
    """What a pass through a decoupled network returns beside its output; `decoupling.path.Path`."""

    @property
    def logits(self) -> Mapping[str, Tensor]:
        """Layer name to gate scores (N, filters)."""
        ...

    def __getitem__(self, name: str, /) -> Tensor:
        """Gates of a layer, (N, filters): 0 and 1, or between them."""
        ...


@dataclass(frozen=True)
class Batch:
    """What the network did with N images; `predicted` is int64 (N,)."""

    path: SeenPath
    logits: Tensor
    features: Tensor | None
    predicted: Tensor

    def values(self, layers: LayerTable, values: Values) -> Tensor:
        """Gates or scores side by side, (N, filters)."""
        source = self.path if values == "bits" else self.path.logits
        return torch.cat([source[name] for name in layers.names], dim=1)

    def rows(self, classes: int) -> Tensor:
        """Row of a table of classes + 1 rows for each image."""
        return self.predicted.clamp(max=classes)


Function = Callable[[Batch], Tensor]
"""A score or parts of a batch."""
