"""Least squares for the few weights of a gating module: seconds, once, before training begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEPS = 1500
BATCH = 512
RATE = 1e-2


def regress(
    predict: Callable[[Tensor], Tensor],
    parameters: Sequence[nn.Parameter],
    inputs: Tensor,
    targets: Tensor,
    generator: torch.Generator,
) -> None:
    """Fit `predict` to targets in the mean square, by Adam with one cycle of the rate.

    Args:
        predict: From inputs (n, a) to predictions (n, b).
        parameters: What may change.
        inputs: (N, a).
        targets: (N, b).
        generator: On the CPU; draws the batches.
    """
    optimiser = torch.optim.Adam(parameters, RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, STEPS)
    for _ in range(STEPS):
        rows = torch.randint(0, len(inputs), (min(BATCH, len(inputs)),), generator=generator)
        rows = rows.to(inputs.device)
        with torch.enable_grad():
            loss = F.mse_loss(predict(inputs[rows]), targets[rows])
            gradients = torch.autograd.grad(loss, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimiser.step()
        schedule.step()
    for parameter in parameters:
        parameter.grad = None


def threshold(values: Tensor, share: float) -> Tensor:
    """The value, a scalar, above which this share of the values lies."""
    flat = values.flatten()
    rank = min(len(flat), max(1, round((1 - share) * len(flat))))
    return flat.kthvalue(rank).values
