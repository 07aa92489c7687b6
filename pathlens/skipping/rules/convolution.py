"""A convolution takes in what follows it at once: batch norm, activation, gates."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, fx

from pathlens.skipping.activation import Activation
from pathlens.skipping.blocks import Shape
from pathlens.skipping.channels import Compact
from pathlens.skipping.folding import into_convolution, scale_and_shift
from pathlens.skipping.operators import ACTIVATIONS, BATCH_NORMS, name_of
from pathlens.skipping.planning import Planner
from pathlens.skipping.steps.convolution import Convolution
from pathlens.skipping.weights import Filters


@dataclass
class _Tail:
    """What a convolution takes in, and the value that stands at its end."""

    end: fx.Node
    weights: Tensor
    bias: Tensor | None
    act: Activation = field(default_factory=Activation)
    layer: int | None = None
    taken: list[fx.Node] = field(default_factory=list)


def convolution(planner: Planner, node: fx.Node) -> bool:
    """Plan a convolution of pictures; False for transposed and other ones with dense inputs."""
    source, weight, bias, stride, padding, dilation, transposed, _, groups = planner.arguments(node)
    weights, biases = planner.constant(weight), planner.constant(bias)
    if transposed or weights is None or weights.dim() != 4 or source in planner.constants:
        return False
    if (bias is not None and biases is None) or len(planner.shape(source)) != 4:
        return False
    own = planner.weight_layer(weight)
    tail = _tail(planner, node, weights, biases, own)
    shape = Shape(tuple(stride), tuple(padding), tuple(dilation), groups)
    form = _input(planner, source, weight, shape, weights)
    slot = planner.slots[source] if form is not None else planner.dense(source)
    if own is not None:
        planner.decide(own)
    filters = Filters(
        planner.processor,
        tail.weights,
        tail.bias,
        shape,
        tail.act,
        (1, *planner.shape(source)[1:]),
        form.absent if form is not None and groups == 1 else None,
    )
    made = _output(planner, tail, form, groups)
    inputs = None if form is None else form.kept
    planner.emit(
        Convolution(
            filters, slot, planner.slots[tail.end], inputs,
            None if made is None else made.kept, tail.layer, len(planner.steps), planner.cache,
            planner.name_of_weight(weight),
        )
    )  # fmt: skip
    if made is not None:
        planner.form[tail.end] = made
    planner.finish(node, *tail.taken)
    return True


def _input(
    planner: Planner, source: fx.Node, weight: fx.Node, shape: Shape, weights: Tensor
) -> Compact | None:
    """Form of the input, where the convolution can read it compact."""
    form = planner.form.get(source)
    if form is None:
        return None
    name = planner.name_of_weight(weight) or "a convolution"
    if shape.groups > 1 and weights.shape[:2] != (shape.groups, 1):
        planner.note(name, "grouped: its input is made dense")
        return None
    if form.absent is not None and (any(shape.padding) or tuple(weights.shape[2:]) != (1, 1)):
        bordered = any(shape.padding) or shape.groups == 1
        if bordered:
            planner.note(name, "silenced channels are constants that meet its border: made dense")
            return None
    return form


def _output(planner: Planner, tail: _Tail, form: Compact | None, groups: int) -> Compact | None:
    """Form of what the convolution makes."""
    filters = len(tail.weights)
    if tail.layer is not None:
        return Compact(planner.kept_of_layer[tail.layer], filters)
    if groups == 1 or form is None:
        return None
    # Depthwise: an absent channel is the constant that its filter makes of the constant before.
    made = torch.zeros(filters, dtype=tail.weights.dtype, device=tail.weights.device)
    if form.absent is not None:
        made = tail.weights.sum(dim=(1, 2, 3)) * form.absent
    made = tail.act(made if tail.bias is None else made + tail.bias)
    return Compact(form.kept, filters, made if made.any() else None)


def _tail(
    planner: Planner, node: fx.Node, weights: Tensor, bias: Tensor | None, own: int | None
) -> _Tail:
    tail = _Tail(node, weights, bias)
    while True:
        following = planner.reader(tail.end)
        if following is None or following.op != "call_function":
            return tail
        name = name_of(following.target)
        if name in BATCH_NORMS and not tail.act.name and tail.layer is None:
            if not _take_norm(planner, tail, following):
                return tail
        elif name in {"mul", "add"} and _is_gate(planner, following, tail, own):
            tail.layer = own
            _take(tail, following)
        elif name in {"mul", "add"} and not tail.act.name and tail.layer is None:
            if not _take_constant(planner, tail, following, name):
                return tail
        elif name in ACTIVATIONS and not tail.act.name and _may_take(planner, tail, name):
            bounds = tuple(float(a) for a in planner.arguments(following)[1:])
            if name == "hardtanh" and (len(bounds) != 2 or not bounds[0] <= 0 <= bounds[1]):
                return tail
            tail.act = Activation(name, bounds)
            _take(tail, following)
        elif name in {"alias", "clone", "detach", "contiguous"}:
            _take(tail, following)
        else:
            return tail


def _take(tail: _Tail, node: fx.Node) -> None:
    tail.taken.append(node)
    tail.end = node


def _may_take(planner: Planner, tail: _Tail, name: str) -> bool:
    """Amplitudes commute with a ReLU only."""
    if tail.layer is None:
        return True
    module = planner.network.gating_module(tail.layer + 1)
    boosts = getattr(
        module, "boost", type(module).__name__ not in {"HashedGating", "ConstantGating"}
    )
    return name == "relu" or not boosts


def _is_gate(planner: Planner, node: fx.Node, tail: _Tail, own: int | None) -> bool:
    return (
        own is not None
        and tail.layer is None
        and name_of(node.target) == "mul"
        and planner.trace.gates[own] in planner.arguments(node)
    )


def _take_norm(planner: Planner, tail: _Tail, node: fx.Node) -> bool:
    arguments = planner.arguments(node)
    weight, bias, mean, variance = (planner.constant(value) for value in arguments[1:5])
    result = planner.reader(node)
    if arguments[0] is not tail.end or mean is None or variance is None or result is None:
        return False
    if name_of(result.target) != "getitem" or planner.arguments(result)[1] != 0:
        return False
    if any(value is not None and planner.constant(value) is None for value in arguments[1:3]):
        return False
    scale, shift = scale_and_shift(weight, bias, mean, variance, float(arguments[-1]))
    tail.weights, tail.bias = into_convolution(tail.weights, tail.bias, scale, shift)
    _take(tail, node)
    _take(tail, result)
    return True


def _take_constant(planner: Planner, tail: _Tail, node: fx.Node, name: str) -> bool:
    """A product with, or a sum of, numbers by channel made of weights, as frozen norms are."""
    arguments = planner.arguments(node)
    if len(arguments) != 2 or planner.trace.arguments[node][1]:
        return False
    other = planner.constant(arguments[1] if arguments[0] is tail.end else arguments[0])
    filters = len(tail.weights)
    if other is None or other.dim() < 3 or other.numel() != filters:
        return False
    if other.shape[-3:] != (filters, 1, 1):
        return False
    values, none = other.flatten().double(), torch.zeros(filters, dtype=torch.float64)
    none = none.to(values.device)
    scale, shift = (values, none) if name == "mul" else (none + 1, values)
    tail.weights, tail.bias = into_convolution(tail.weights, tail.bias, scale, shift)
    _take(tail, node)
    return True
