"""Operations that no other rule takes run on dense values as they were observed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from pathlens.skipping.operators import ANY_LAYOUT, SHARING, VIEWS, is_view, name_of
from pathlens.skipping.planning import Planner
from pathlens.skipping.steps.operator import Argument, Operator
from pathlens.skipping.tracing import PerImage


def observed(planner: Planner, node: fx.Node) -> bool:
    """Run an operation with the arguments that it was observed with."""
    name = name_of(node.target)
    arguments, keywords = planner.trace.arguments[node]
    values = [leaf for leaf in tree_leaves((arguments, keywords)) if isinstance(leaf, fx.Node)]
    reads = tuple(
        planner.dense(value, f"{name} is not followed")
        for value in values
        if value not in planner.constants
    )
    in_order = name not in ANY_LAYOUT
    function: Callable[..., Any] = node.target  # type: ignore[assignment]
    if name in VIEWS and name != "flatten":
        function = torch.reshape
    planner.emit(
        Operator(
            function,
            tuple(_argument(planner, argument, in_order) for argument in arguments),
            {key: _argument(planner, argument, in_order) for key, argument in keywords.items()},
            reads,
            planner.slots[node],
            shares=name in SHARING or is_view(node.target),
            label=name,
        )
    )
    return True


def _argument(planner: Planner, given: Any, in_order: bool) -> Argument:
    if isinstance(given, fx.Node):
        return _tensor(planner, given, in_order)
    if isinstance(given, PerImage):
        return lambda run: given.count * run.images
    varying = any(isinstance(leaf, fx.Node | PerImage) for leaf in tree_leaves(given))
    if varying and isinstance(given, list | tuple):
        parts = [_argument(planner, part, in_order) for part in given]
        return lambda run: [make(run) for make in parts]
    return lambda run: given


def _tensor(planner: Planner, node: fx.Node, in_order: bool) -> Argument:
    constant = planner.constant(node)
    if constant is not None:
        return lambda run: constant
    slot = planner.dense(node)
    if not in_order:
        return lambda run: run.values[slot]
    return lambda run: _contiguous(run.values[slot])


def _contiguous(value: Any) -> Any:
    return value.contiguous() if isinstance(value, Tensor) else value
