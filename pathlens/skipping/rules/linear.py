"""Flattening, and the linear layers after it."""

from __future__ import annotations

import math

import torch
from torch import fx

from pathlens.skipping.channels import Compact
from pathlens.skipping.planning import Planner
from pathlens.skipping.steps.linear import Linear
from pathlens.skipping.steps.operator import Channelwise


def view(planner: Planner, node: fx.Node) -> bool:
    """Compact pictures flattened to (N, channels · positions) stay pictures for a while."""
    source = planner.arguments(node)[0]
    form = planner.form.get(source)
    if form is None or form.flat:
        return False
    before, after = planner.shape(source), planner.shape(node)
    if before == after:
        same, positions = True, 0
    else:
        same = False
        positions = math.prod(before[2:])
        if len(before) != 4 or after != (before[0], before[1] * positions):
            return False
    flat = not same and positions > 1
    function = (lambda x: x) if same or flat else (lambda x: x.flatten(1))
    planner.emit(Channelwise(function, planner.slots[source], planner.slots[node], "view"))
    planner.form[node] = Compact(form.kept, form.channels, form.absent, positions if flat else 0)
    return True


def linear(planner: Planner, node: fx.Node) -> bool:
    """Bias + x · weights."""
    arguments, keywords = planner.trace.arguments[node]
    bias, source, weights = arguments[:3]
    own, matrix = planner.constant(bias), planner.constant(weights)
    if keywords or own is None or matrix is None or source in planner.constants:
        return False
    if own.dim() != 1 or len(planner.shape(source)) != 2 or source in planner.layer_of:
        return False
    form = planner.form.get(source)
    inputs = matrix.shape[0]
    none = torch.zeros(inputs, device=matrix.device, dtype=matrix.dtype)
    planner.emit(
        Linear(
            planner.processor,
            planner.slots[source],
            planner.slots[node],
            matrix,
            own,
            None if form is None else form.kept,
            none if form is None else planner.absent(form),
            1 if form is None else max(1, form.flat),
            planner.name_of_weight(bias) or "linear",
        )
    )
    return True
