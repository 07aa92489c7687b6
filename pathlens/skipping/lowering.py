"""A network cut to one path as a plain module: ordinary torch operators, its own weights, any batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathlens.skipping.activation import Activation
from pathlens.skipping.channels import Kept
from pathlens.skipping.run import Run
from pathlens.skipping.static import FixedConvolution, FixedLinear, StaticNetwork
from pathlens.skipping.steps.addition import Addition
from pathlens.skipping.steps.base import Step
from pathlens.skipping.steps.concatenation import Rearrangement
from pathlens.skipping.steps.convolution import Convolution
from pathlens.skipping.steps.gating import Gate
from pathlens.skipping.steps.linear import Linear
from pathlens.skipping.steps.operator import Affine, Scale, Scatter
from pathlens.skipping.tracing import assemble

_ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "relu": F.relu,
    "hardtanh": F.hardtanh,
    "hardswish": F.hardswish,
    "silu": F.silu,
}


class Convolve(nn.Module):
    """A convolution with what is left of its weights, and its activation."""

    def __init__(self, step: FixedConvolution) -> None:
        super().__init__()
        filters = step.filters
        weights = step.weights
        self.weight = _parameter(weights.clone(memory_format=torch.contiguous_format))
        self.bias = None if step.bias is None else _parameter(step.bias.clone())
        shape = filters.shaped(len(weights)) if filters.depthwise else filters.shape
        self.further = shape.stride, shape.padding, shape.dilation, shape.groups
        self.act: Activation = filters.act

    def forward(self, x: Tensor) -> Tensor:
        """Of (N, inputs, height, width)."""
        y = F.conv2d(x, self.weight, self.bias, *self.further)
        if not self.act.name:
            return y
        return _ACTIVATIONS[self.act.name](y, *self.act.bounds)


class Silence(nn.Module):
    """Zeros where a convolution has none of its filters left; one channel, so that none is empty."""

    def __init__(self, step: Convolution, kept: Kept) -> None:
        super().__init__()
        self.step, self.kept = step, kept

    def forward(self, x: Tensor) -> Tensor:
        """Of (N, inputs, height, width)."""
        return x.new_zeros(x.shape[0], self.kept.places, *self.step.size_after(x))


class Multiply(nn.Module):
    """A linear layer."""

    def __init__(self, weights: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = _parameter(weights.clone()), _parameter(bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Of (N, inputs), or pictures that are flattened first."""
        return F.linear(x.flatten(1), self.weight, self.bias)


class Normalise(nn.Module):
    """Scale and shift by channel, and a ReLU if it follows."""

    def __init__(self, step: Affine, kept: Kept) -> None:
        super().__init__()
        index = kept.on(step.scale.device)
        self.weight = _parameter(step.scale[index].view(-1, 1, 1))
        self.bias = _parameter(step.shift[index].view(-1, 1, 1))
        self.rectify = step.rectify

    def forward(self, x: Tensor) -> Tensor:
        """Of (N, channels, height, width)."""
        y = x * self.weight + self.bias
        return F.relu(y) if self.rectify else y


class Place(nn.Module):
    """Puts channels where they belong among all channels; constants in the other places."""

    def __init__(self, kept: Kept, absent: Tensor | None, device: torch.device) -> None:
        super().__init__()
        # Read from, not written to: channels that are absent read one channel of zeros at the end.
        source = np.full(kept.channels, kept.places)
        source[kept.index[kept.filled]] = kept.filled
        self.register_buffer("source", torch.from_numpy(source).to(device))
        base = None
        if absent is not None and bool(absent.any()):
            base = absent.clone()
            base[torch.from_numpy(kept.index[kept.filled]).to(device)] = 0
        self.register_buffer("base", base)

    def forward(self, x: Tensor) -> Tensor:
        """Of (N, places, ...)."""
        padded = torch.cat([x, torch.zeros_like(x[:, :1])], dim=1)
        source = self.source
        assert isinstance(source, Tensor)
        full = padded.index_select(1, source)
        if isinstance(self.base, Tensor):
            full = full + self.base.view(1, -1, *[1] * (x.dim() - 2))
        return full


class Add(nn.Module):
    """A sum of a dense value and another that is put in its places first, and a ReLU if it follows."""

    def __init__(self, place: Place | None, *, rectify: bool) -> None:
        super().__init__()
        self.place, self.rectify = place, rectify

    def forward(self, stream: Tensor, branch: Tensor) -> Tensor:
        """Of (N, channels, ...) and (N, places, ...)."""
        made = stream + (branch if self.place is None else self.place(branch))
        return F.relu(made) if self.rectify else made


class Take(nn.Module):
    """Some channels, always the same."""

    def __init__(self, channels: np.ndarray, device: torch.device, *, silent: bool = False) -> None:
        super().__init__()
        self.register_buffer("channels", torch.from_numpy(channels).to(device))
        self.silent = silent

    def forward(self, x: Tensor) -> Tensor:
        """Of (N, channels, ...)."""
        channels = self.channels
        assert isinstance(channels, Tensor)
        taken = x.index_select(1, channels)
        return torch.zeros_like(taken) if self.silent else taken


class Weigh(nn.Module):
    """A product with a dense factor by channel, of which only the channels that are there count."""

    def __init__(self, take: Take | None) -> None:
        super().__init__()
        self.take = take

    def forward(self, x: Tensor, factor: Tensor) -> Tensor:
        """Of (N, places, height, width) and (N, channels, 1, 1)."""
        return x * (factor if self.take is None else self.take(factor))


class Lowered(nn.Module):
    """A statically cut network whose weights are parameters, under the names that they had.

    Args:
        static: What it is made of, planned for plain torch operators.
        device: Where it runs.
    """

    def __init__(self, static: StaticNetwork, device: torch.device) -> None:
        super().__init__()
        self._static = static
        self._device = device
        self._stages: list[tuple[Step, tuple[nn.Module | None]]] = []
        for step in static.plan.steps:
            stage = self._stage(step)
            # In a tuple, so that it is found under its own name only.
            self._stages.append((step, (stage,)))
            if stage is not None:
                _put(self, step.label or "computed", stage)

    def forward(self, *images: Tensor) -> Any:
        """What the decoupled network gives with this path forced.

        Args:
            *images: What the network takes, of the size of picture that it was cut for.
        """
        plan = self._static.plan
        run = Run(
            images=images[0].shape[0],
            values=[None] * plan.slots,
            kept=self._static.kept,
            gates=[],
            logits=[],
        )
        for slot, argument in zip(plan.inputs, images, strict=True):
            run.values[slot] = argument
        for step, (stage,) in self._stages:
            if stage is None:
                step(run)
            else:
                run.values[step.writes[0]] = stage(*(run.values[slot] for slot in step.reads))
        return assemble(plan.trace, [run.values[slot] for slot in plan.outputs])

    def _stage(self, step: Step) -> nn.Module | None:
        """What a step becomes; None for those that are plain operators already."""
        if isinstance(step, FixedConvolution):
            return Convolve(step)
        if isinstance(step, FixedLinear):
            return Multiply(step.weights, step.bias)
        if isinstance(step, Linear):
            return Multiply(step.plain, step.bias)
        if isinstance(step, Convolution):
            assert step.outputs is not None
            return Silence(step, self._kept(step.outputs))
        if isinstance(step, Affine):
            return Normalise(step, self._kept(step.kept))
        if isinstance(step, Addition | Scatter):
            return self._placed(step)
        if isinstance(step, Rearrangement | Gate | Scale):
            return self._taken(step)
        return None

    def _placed(self, step: Addition | Scatter) -> nn.Module | None:
        kept = None if step.kept is None else self._kept(step.kept)
        absent = step.absent if isinstance(step, Scatter) else None
        place = None if kept is None or kept.whole else Place(kept, absent, self._device)
        return place if isinstance(step, Scatter) else Add(place, rectify=step.rectify)

    def _taken(self, step: Rearrangement | Gate | Scale) -> nn.Module | None:
        if isinstance(step, Rearrangement):
            return Take(step.stays(self._kept(step.before)), self._device)
        kept = self._kept(step.kept)
        index = np.minimum(kept.index, kept.channels - 1)
        take = None if kept.whole else Take(index, self._device, silent=kept.silent)
        return Weigh(take) if isinstance(step, Scale) else take

    def _kept(self, kept: int | Kept) -> Kept:
        if isinstance(kept, Kept):
            return kept
        found = self._static.kept[kept]
        assert found is not None
        return found


def _parameter(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


def _put(root: nn.Module, name: str, stage: nn.Module) -> None:
    """Hang a module below a root under a dotted name; a number is added where it is taken."""
    *parents, last = name.split(".")
    for part in parents:
        child = getattr(root, part, None)
        if not isinstance(child, nn.Module):
            child = nn.Module()
            root.add_module(_unused(root, part), child)
        root = child
    root.add_module(_unused(root, last), stage)


def _unused(root: nn.Module, name: str) -> str:
    """The name, with a number where the root has it already."""
    unused, number = name, 1
    while hasattr(root, unused):
        number += 1
        unused = f"{name}_{number}"
    return unused
