"""Convolutions: only the filters that are on, and only the input channels that are there."""

from __future__ import annotations

import torch
from torch import Tensor

from pathlens.skipping.channels import Kept, everything
from pathlens.skipping.processor import LAST
from pathlens.skipping.run import Run
from pathlens.skipping.steps.base import Step
from pathlens.skipping.weights import Filters, PathCache


class Convolution(Step):
    """A convolution with its activation and its gates.

    Args:
        filters: The weights.
        source: Slot of the input.
        target: Slot of the output.
        inputs: Number of the input's `Kept`; None where it is dense.
        outputs: Number of the output's; None where it is dense.
        layer: Number of its gated layer, if it has gates.
        number: Of this convolution in the cache.
        cache: Of gathered weights.
        label: Name of the module.
    """

    def __init__(
        self,
        filters: Filters,
        source: int,
        target: int,
        inputs: int | None,
        outputs: int | None,
        layer: int | None,
        number: int,
        cache: PathCache,
        label: str,
    ) -> None:
        super().__init__((source,), (target,), label)
        self.filters, self.source, self.target = filters, source, target
        self.inputs, self.outputs, self.layer = inputs, outputs, layer
        self.number, self.cache = number, cache
        self.all_inputs = everything(filters.weights.shape[1] * filters.shape.groups)
        self.all_outputs = everything(filters.weights.shape[0])

    def __call__(self, run: Run) -> None:
        """Convolve."""
        inputs = self.all_inputs if self.inputs is None else run.kept_at(self.inputs)
        outputs = self.all_outputs if self.outputs is None else run.kept_at(self.outputs)
        x = run.values[self.source]
        if outputs.silent and self.layer is not None:
            run.values[self.target] = self._silence(x, outputs)
            return
        made = self.filters.run(x, self._ready(inputs, outputs))
        factors = None if self.layer is None else run.factors[self.layer]
        run.values[self.target] = made if factors is None else made.mul_(factors)

    def _ready(self, inputs: Kept, outputs: Kept) -> tuple[Tensor, Tensor | None]:
        if inputs.whole and outputs.whole:
            return self.filters.whole
        if not self.cache.capacity:
            return self.filters.gathered(inputs, outputs)
        key = inputs.key, outputs.key
        found = self.cache.find(self.number, key)
        if found is not None:
            return found
        if not self.cache.wants(self.number, key):
            return self.filters.gathered(inputs, outputs)
        ready = self.filters.packed(inputs, outputs)
        size = ready[0].numel() * ready[0].element_size()
        self.cache.put(self.number, key, ready, size)
        return ready

    def _silence(self, x: Tensor, outputs: Kept) -> Tensor:
        """Zeros: all filters are off."""
        size = (len(x), outputs.places, *self.size_after(x))
        return torch.empty(size, dtype=x.dtype, device=x.device, memory_format=LAST).zero_()

    def size_after(self, x: Tensor) -> list[int]:
        """Height and width of what the convolution makes of x (N, inputs, height, width)."""
        shape, size = self.filters.shape, []
        for axis in range(2):
            reach = shape.dilation[axis] * (self.filters.taps[axis] - 1) + 1
            room = x.shape[2 + axis] + 2 * shape.padding[axis] - reach
            size.append(room // shape.stride[axis] + 1)
        return size
