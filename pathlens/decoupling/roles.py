"""What the observed run says a convolution is for: its gate's place, and the parts that stay whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from pathlens.decoupling.flow import order_of
from pathlens.decoupling.observe import Observation, Op, Value

ACTIVATIONS = {"relu", "hardtanh", "silu", "hardswish", "gelu", "leaky_relu", "elu"}
"""Operators that count as the activation of the convolution before them."""

_POOLS = {"mean", "_adaptive_avg_pool2d", "adaptive_avg_pool2d", "amax", "adaptive_max_pool2d"}
_BATCH_NORMS = {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "batch_norm"}
_BATCH_NORMS |= {"_native_batch_norm_legit_no_training", "_batch_norm_no_update"}
_MIXING_NORMS = {"native_group_norm", "native_layer_norm"}
_COPIES = {"contiguous", "clone", "alias", "detach"}
_TURNS = {"permute", "transpose"}
_SCALES, _SHIFTS = {"mul", "div"}, {"add", "sub"}
_VIEWS = {"view", "reshape", "_unsafe_view"}
_MULTIPLIES = {"convolution", "addmm", "mm", "bmm"}


@dataclass(frozen=True)
class Site:
    """Where a gate acts.

    Attributes:
        module: Dotted name of the module whose output the gate multiplies.
        output: That output.
        dim: Its dimension of channels.
        mixes: Whether the norm before the gate takes statistics over several filters.
    """

    module: str
    output: Value
    dim: int
    mixes: bool


def site_of(conv: str, op: Op, observation: Observation) -> Site | None:
    """The norm's module where a norm alone reads the convolution, else the convolution itself.

    None if that norm cannot be hooked: it is a functional call within a module that goes on with
    its result, or its module runs more than once. Where a user's module applies the activation after
    the norm (timm's `BatchNormAct2d`), the gate comes after the activation.
    """
    output = observation.returned.get(conv, op.outputs[0])
    own = Site(conv, output, 1, False)
    norm, returned, before = None, None, output
    for step, value, dim in _passed_on(observation, output):
        if norm is None and step.name in ACTIVATIONS:
            return own
        if norm is None and _is_norm(observation, step, before):
            norm = step
            once = observation.calls[step.module] == 1
            returned = observation.returned.get(step.module) if once else None
        if norm is not None and value == returned:
            return own if dim is None else Site(norm.module, value, dim, _mixes(norm))
        before = value
    return own if norm is None or norm.name in _SHIFTS else None


def activation_after(observation: Observation, site: Site) -> tuple[str, tuple[float, ...]]:
    """Name and further arguments of the activation that alone reads a site's output, if any."""
    readers = observation.readers(site.output)
    while len(readers) == 1 and readers[0].name in _TURNS | _COPIES:
        readers = observation.readers(readers[0].outputs[0])
    if len(readers) != 1 or readers[0].name not in ACTIVATIONS:
        return "", ()
    return readers[0].name, tuple(a for a in readers[0].args[1:] if isinstance(a, int | float))


def _passed_on(observation: Observation, value: Value) -> Iterator[tuple[Op, Value, int | None]]:
    """What becomes of a convolution's output while one operation after the other alone reads it.

    Yields the operation, what it made, and the dimension of the channels; None while a view hides it,
    as in instance norm, which folds the images into the channels.
    """
    shape, shown = value.shape, 1  # before a view
    dim: int | None = 1
    while True:
        readers = observation.readers(value)
        if len(readers) != 1 or not readers[0].outputs:
            return
        op = readers[0]
        if op.name in _VIEWS:
            dim = shown if op.outputs[0].shape == shape else None
        elif op.name in _TURNS and dim is not None:
            shown = dim = order_of(op).index(dim)
            shape = op.outputs[0].shape
        elif not (
            op.name in _COPIES | ACTIVATIONS
            or _is_norm(observation, op, value)
            or _by_constant(observation, op, value, _SCALES)
        ):
            return
        value = op.outputs[0]
        yield op, value, dim


def _is_norm(observation: Observation, op: Op, value: Value) -> bool:
    """Whether `op` normalises `value`, or shifts it as a BN with frozen statistics does."""
    named = op.name in _BATCH_NORMS or op.name in _MIXING_NORMS
    return (named and op.inputs[0] == value) or _by_constant(observation, op, value, _SHIFTS)


def _by_constant(observation: Observation, op: Op, value: Value, names: set[str]) -> bool:
    """Whether `op` is one of `names`, between `value` and a tensor made of weights alone."""
    others = [other for other in op.inputs if other != value]
    return op.name in names and len(others) == 1 and observation.constant(others[0])


def _mixes(norm: Op) -> bool:
    """Whether the norm's statistics run over several channels: group norm with C groups does not."""
    if norm.name not in _MIXING_NORMS:
        return False
    if norm.name == "native_group_norm":
        channels, groups = norm.args[4], norm.args[6]
        return bool(channels != groups)
    return True


def conv_ops(observation: Observation, convs: dict[str, nn.Conv2d]) -> dict[str, Op]:
    """The (last) convolution operation of each `Conv2d` that ran."""
    return {
        op.module: op
        for op in observation.ops
        if op.module in convs and "convolution" in op.name and op.outputs
    }


def classifier(
    observation: Observation, convs: dict[str, nn.Conv2d], runs: dict[str, Op]
) -> str | None:
    """The last convolution that becomes the class scores through no further weights, if any."""
    if not observation.outputs or len(observation.outputs[0].shape) < 2:
        return None
    scores = observation.outputs[0]
    by_op = {op: name for name, op in runs.items()}
    waiting, found = [scores], set()
    seen: set[Op] = set()
    while waiting:
        op = observation.producer.get(waiting.pop())
        if op is None or op in seen:
            continue
        seen.add(op)
        if op in by_op:
            found.add(op)
        elif op.name not in {"addmm", "mm", "bmm", "linear", "convolution"}:
            waiting.extend(op.inputs)
    fitting = [op for op in found if convs[by_op[op]].out_channels == scores.shape[1]]
    return by_op[max(fitting, key=observation.ops.index)] if fitting else None


def squeeze_excite(observation: Observation) -> set[Op]:
    """Operations that compute, from a pooled tensor, the weights that the same tensor gets."""
    found: set[Op] = set()
    for op in observation.ops:
        if op.name != "mul" or len(op.inputs) != 2:
            continue
        for weight, target in (op.inputs, op.inputs[::-1]):
            branch = _branch(observation, weight, target)
            if branch is not None and any(_squeezes(step) for step in branch):
                found |= branch
    return found


def _squeezes(op: Op) -> bool:
    """Whether an operation averages over all positions or all channels."""
    if op.name not in _POOLS or not op.outputs:
        return False
    shape = op.outputs[0].shape
    return len(shape) < 4 or set(shape[2:]) == {1} or shape[1] == 1


def _branch(observation: Observation, tip: Value, root: Value) -> set[Op] | None:
    """The operations between `root` and `tip`; None unless all of `tip` comes from `root`."""
    seen: set[Op] = set()
    waiting, reached = [tip], False
    while waiting:
        value = waiting.pop()
        if value == root:
            reached = True
            continue
        op = observation.producer.get(value)
        if op is None:
            if value in observation.inputs:
                return None
            continue  # a weight or a constant
        if op not in seen:
            seen.add(op)
            waiting.extend(op.inputs)
    return seen if reached else None


def projection_shortcuts(
    observation: Observation, convs: dict[str, nn.Conv2d], runs: dict[str, Op]
) -> set[str]:
    """Names of 1 × 1 convolutions that carry the residual stream past a deeper or wider branch."""
    by_op = {op: name for name, op in runs.items()}
    found = set()
    for op in observation.ops:
        if op.name != "add" or len(op.inputs) != 2:
            continue
        for side, other in (op.inputs, op.inputs[::-1]):
            conv = _lone_projection(observation, side, by_op, convs)
            if conv is None:
                continue
            root = _through_pools(observation, conv.inputs[0])
            # Beside one convolution only a wider kernel makes the other path the branch.
            if _depth(observation, other, root, conv) > (1, 1):
                found.add(by_op[conv])
    return found


def _lone_projection(
    observation: Observation, value: Value, by_op: dict[Op, str], convs: dict[str, nn.Conv2d]
) -> Op | None:
    """The 1 × 1 convolution that makes `value`, with nothing but a norm between them."""
    op = observation.producer.get(value)
    while op is not None and op not in by_op:
        before = op.inputs[0] if op.inputs else value
        if not (
            op.name in _TURNS | _COPIES
            or _is_norm(observation, op, before)
            or _by_constant(observation, op, before, _SCALES)
        ):
            return None
        op = observation.producer.get(before)
    return op if op is not None and set(convs[by_op[op]].kernel_size) == {1} else None


def _through_pools(observation: Observation, value: Value) -> Value:
    """Step back over the average pool that some networks put before the projection."""
    op = observation.producer.get(value)
    while op is not None and op.name in {"avg_pool2d", "max_pool2d_with_indices"}:
        value = op.inputs[0]
        op = observation.producer.get(value)
    return value


def _depth(observation: Observation, tip: Value, root: Value, shortcut: Op) -> tuple[int, int]:
    """The most multiplying operations from `root` to `tip` past the `shortcut`, and the widest kernel.

    (0, 0) where no way leads from one to the other.
    """
    depth: dict[Value, tuple[int, int]] = {root: (0, 0)}
    start = observation.producer.get(root)
    started = start is None
    for op in observation.ops:
        if not started:
            started = op is start
            continue
        known = [depth[value] for value in op.inputs if value in depth]
        # Without this the end of one inverted bottleneck would pass for a shortcut of the next.
        if known and op is not shortcut:
            count, kernel = max(known)
            if op.name in _MULTIPLIES:
                area = math.prod(op.args[1].shape[2:]) if op.name == "convolution" else 1
                count, kernel = count + 1, max(kernel, area)
            for value in op.outputs:
                depth[value] = count, kernel
    return depth.get(tip, (0, 0))
