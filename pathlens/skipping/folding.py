"""Folding what follows a convolution into its weights, and a gating module's norm into its layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pathlens.decoupling.gating import GatingModule, HashedGating
from pathlens.skipping.steps.gating import Layers


def scale_and_shift(
    weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """A batch norm with fixed statistics as y = x · scale + shift, both (channels,), in float64."""
    scale = 1 / torch.sqrt(variance.double() + eps)
    if weight is not None:
        scale = scale * weight.double()
    shift = -mean.double() * scale
    return scale, shift if bias is None else shift + bias.double()


def into_convolution(
    weights: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor]:
    """Weights (filters, ...) and bias (filters,) of a convolution that is scaled and shifted after."""
    shape = (-1, *[1] * (weights.dim() - 1))
    moved = shift if bias is None else shift + bias.double() * scale
    return (weights.double() * scale.view(shape)).to(weights.dtype), moved.to(weights.dtype)


def layers_of(module: GatingModule) -> Layers | None:
    """A hashed gating module as two layers; None for other kinds, which run as they are."""
    if type(module) is not HashedGating:
        return None
    first, second = module.fc1.weight.detach(), module.fc2.weight.detach()
    bias = first.new_zeros(len(first)) if module.fc1.bias is None else module.fc1.bias.detach()
    if isinstance(module.standardise, nn.BatchNorm1d):
        norm = module.standardise
        if norm.running_mean is None or norm.running_var is None:
            return None
        scale, shift = scale_and_shift(None, None, norm.running_mean, norm.running_var, norm.eps)
        bias = (bias.double() + first.double() @ shift).to(first.dtype)
        first = (first.double() * scale).to(first.dtype)
    second_bias = module.fc2.bias
    return Layers(
        first=first.t().contiguous(),
        first_bias=bias.contiguous().clone(),
        second=second.t().contiguous(),
        second_bias=(
            second.new_zeros(len(second)) if second_bias is None else second_bias.detach().clone()
        ),
    )
