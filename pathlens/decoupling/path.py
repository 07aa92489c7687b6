"""The noun *path*: the gate vectors of every image of a batch, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from pathlens.layers import LayerTable


class Path(Mapping[str, Tensor]):
    """Mapping from layer name to gates (N, filters), in running order.

    Attributes:
        layers: The gated layers.
        logits: Layer name to g (N, filters), from which the gates are decided.
        amplitudes: Layer name to what the outputs of filters that are on were multiplied by
            (N, filters), differentiable; only where the gating modules boost (`top_k.TopK`). The
            gates themselves stay 0 and 1.
        responses: Layer name to r (N, filters): global average of the ungated output (after the
            activation where one follows directly), differentiable; empty if not asked for.
        magnitudes: Layer name to the root mean square of the same outputs, (N, filters), in float32;
            empty if not asked for.
    """

    def __init__(self, layers: LayerTable) -> None:
        self.layers = layers
        self.logits: dict[str, Tensor] = {}
        self.amplitudes: dict[str, Tensor] = {}
        self.responses: dict[str, Tensor] = {}
        self.magnitudes: dict[str, Tensor] = {}
        self._gates: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self._gates[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.layers.names if name in self._gates)

    def __len__(self) -> int:
        return len(self._gates)

    def __repr__(self) -> str:
        images = next(iter(self._gates.values())).shape[0] if self._gates else 0
        return f"Path({images} images, {len(self)} layers)"

    def put(self, name: str, gates: Tensor) -> None:
        """Set the gates of a layer."""
        self._gates[name] = gates

    def concatenate(self) -> Tensor:
        """All gates side by side, (N, filters of all layers)."""
        return torch.cat([self[name] for name in self], dim=1)

    def density(self) -> Tensor:
        """Gate density: share of gates on over batch and layers, a scalar."""
        return self.concatenate().mean()
