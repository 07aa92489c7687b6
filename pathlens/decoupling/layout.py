"""Deciding which convolutions are gated, where their gate acts, and why the others are not."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pathlens.decoupling.observe import Observation, Op, Value
from pathlens.errors import PathLensError, unknown
from pathlens.layers import Layer, LayerTable

Where = str | Iterable[str] | Callable[[str, nn.Conv2d], bool]
"""Names, globs, or a predicate of (name, convolution) that picks the layers to gate."""

ACTIVATIONS = {"relu", "hardtanh", "silu", "hardswish", "gelu", "leaky_relu", "elu"}
"""Operators that count as the activation of the convolution before them."""

_POOLS = {"mean", "_adaptive_avg_pool2d", "adaptive_avg_pool2d", "amax", "adaptive_max_pool2d"}
_BATCH_NORMS = {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "batch_norm"}
_BATCH_NORMS |= {"_native_batch_norm_legit_no_training", "_batch_norm_no_update"}


@dataclass(frozen=True)
class GatedConv:
    """One convolution that gets a gating module.

    Attributes:
        layer: Number, name and size.
        site: Dotted name of the module whose output the gate multiplies: the BN that follows the
            convolution, or the convolution itself.
        activation: Operator that reads the gated output alone ("relu"), or "" where there is none
            or where the output is added to a shortcut first.
        activation_args: Further arguments of that operator, such as the bounds of a clamp.
    """

    layer: Layer
    site: str
    activation: str
    activation_args: tuple[float, ...] = ()


@dataclass(frozen=True)
class NotGated:
    """A convolution without a gating module, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Layout:
    """What is gated and what is not, from one observed run.

    Attributes:
        gated: The gated convolutions, in running order.
        not_gated: All other `Conv2d` modules, in the order of the network's modules.
        observation: The run that this was read from.
    """

    gated: tuple[GatedConv, ...]
    not_gated: tuple[NotGated, ...]
    observation: Observation

    @property
    def layers(self) -> LayerTable:
        """The gated layers, numbered from 1."""
        return LayerTable(conv.layer for conv in self.gated)


def lay_out(model: nn.Module, observation: Observation, where: Where | None = None) -> Layout:
    """Choose the convolutions to gate.

    Every `Conv2d` is gated but the first one, grouped ones, the classifier, auxiliary heads,
    squeeze-excite, projection shortcuts and shared modules; `where` narrows the choice.

    Raises:
        PathLensError: If nothing is left to gate, or `where` matches nothing.
    """
    convs = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)
    }
    norms = {name for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    runs = _conv_ops(observation, convs)
    reasons = _reasons(observation, convs, runs, norms)
    chosen = _chosen(convs, where)
    gated: list[GatedConv] = []
    not_gated: list[NotGated] = []
    for name in sorted(runs, key=lambda n: observation.ops.index(runs[n])):
        if name not in reasons and name in chosen:
            gated.append(
                _describe(len(gated) + 1, name, convs[name], runs[name], observation, norms)
            )
    for name in convs:
        if name in reasons:
            not_gated.append(NotGated(name, reasons[name]))
        elif name not in chosen:
            not_gated.append(NotGated(name, "left out by where="))
    if not gated:
        listed = "; ".join(f"{entry.name}: {entry.reason}" for entry in not_gated[:4])
        raise PathLensError(
            "The network has no convolution that can be gated: it needs a second ordinary Conv2d "
            f"beside the first one and the classifier ({listed or 'it has no Conv2d'})."
        )
    return Layout(tuple(gated), tuple(not_gated), observation)


def _conv_ops(observation: Observation, convs: dict[str, nn.Conv2d]) -> dict[str, Op]:
    """The (last) convolution operation of each `Conv2d` that ran."""
    return {
        op.module: op
        for op in observation.ops
        if op.module in convs and "convolution" in op.name and op.outputs
    }


def _chosen(convs: dict[str, nn.Conv2d], where: Where | None) -> set[str]:
    if where is None:
        return set(convs)
    if callable(where):
        return {name for name, conv in convs.items() if where(name, conv)}
    globs = [where] if isinstance(where, str) else list(where)
    chosen: set[str] = set()
    for glob in globs:
        matched = {name for name in convs if fnmatch.fnmatchcase(name, glob)}
        if not matched:
            raise unknown("convolution", glob, convs)
        chosen |= matched
    return chosen


def _reasons(
    observation: Observation,
    convs: dict[str, nn.Conv2d],
    runs: dict[str, Op],
    norms: set[str],
) -> dict[str, str]:
    """Why a convolution cannot be gated, by name; the first reason that holds is kept."""
    main = observation.upstream(observation.outputs[:1])
    first = next((op.module for op in observation.ops if op in runs.values()), None)
    classifier = _classifier(observation, convs, runs)
    excite = _squeeze_excite(observation)
    shortcuts = _projection_shortcuts(observation, convs, runs)
    rules: list[tuple[str, Callable[[str], bool]]] = [
        (
            "not run on the example input in eval mode: an auxiliary head, or unused",
            lambda name: name not in runs,
        ),
        ("shared: the module is called more than once", lambda n: observation.calls[n] > 1),
        ("the first convolution", lambda name: name == first),
        ("an auxiliary head: the main output does not depend on it", lambda n: runs[n] not in main),
        ("grouped or depthwise", lambda name: convs[name].groups > 1),
        ("the classifier: its channels are the class scores", lambda name: name == classifier),
        ("inside squeeze-excite: it computes a channel weight", lambda n: runs[n] in excite),
        ("a projection shortcut: part of the residual stream", lambda name: name in shortcuts),
        (
            "its BatchNorm is shared or not a module of its own",
            lambda name: _site(runs[name], observation, norms) is None,
        ),
    ]
    found = {}
    for name in convs:
        reason = next((text for text, holds in rules if holds(name)), None)
        if reason is not None:
            found[name] = reason
    return found


def _site(conv: Op, observation: Observation, norms: set[str]) -> Op | None:
    """The operation whose output the gate multiplies: the BN that alone reads `conv`, or `conv`.

    None if that BN cannot be hooked: it is a functional call, or its module runs more than once.
    """
    readers = observation.consumers.get(conv.outputs[0], [])
    if len(readers) != 1 or readers[0].name not in _BATCH_NORMS:
        return conv
    norm = readers[0]
    # A functional call reports the module around it, which no hook can tell from the whole block.
    hookable = norm.module in norms and observation.calls[norm.module] == 1
    return norm if hookable else None


def _describe(
    index: int, name: str, conv: nn.Conv2d, op: Op, observation: Observation, norms: set[str]
) -> GatedConv:
    site = _site(op, observation, norms)
    assert site is not None  # convolutions without a site have a reason not to be gated
    height, width = (*op.outputs[0].shape[2:], 1, 1)[:2]
    weights = conv.kernel_size[0] * conv.kernel_size[1] * conv.in_channels * conv.out_channels
    layer = Layer(
        index=index,
        name=name,
        filters=conv.out_channels,
        in_channels=conv.in_channels,
        output_size=(height, width),
        macs=weights * height * width,
    )
    readers = observation.consumers.get(site.outputs[0], [])
    if len(readers) == 1 and readers[0].name in ACTIVATIONS:
        arguments = tuple(a for a in readers[0].args[1:] if isinstance(a, int | float))
        return GatedConv(layer, site.module, readers[0].name, arguments)
    return GatedConv(layer, site.module, "")


def _classifier(
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


def _squeeze_excite(observation: Observation) -> set[Op]:
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


def _projection_shortcuts(
    observation: Observation, convs: dict[str, nn.Conv2d], runs: dict[str, Op]
) -> set[str]:
    """Names of 1 × 1 convolutions that carry the residual stream past a deeper branch."""
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
            if _convs_deep(observation, other, root, conv) > 1:
                found.add(by_op[conv])
    return found


def _lone_projection(
    observation: Observation, value: Value, by_op: dict[Op, str], convs: dict[str, nn.Conv2d]
) -> Op | None:
    """The 1 × 1 convolution that makes `value`, with nothing but a BN between them."""
    op = observation.producer.get(value)
    if op is not None and op.name in _BATCH_NORMS:
        op = observation.producer.get(op.inputs[0])
    if op in by_op and op is not None and set(convs[by_op[op]].kernel_size) == {1}:
        return op
    return None


def _through_pools(observation: Observation, value: Value) -> Value:
    """Step back over the average pool that some networks put before the projection."""
    op = observation.producer.get(value)
    while op is not None and op.name in {"avg_pool2d", "max_pool2d_with_indices"}:
        value = op.inputs[0]
        op = observation.producer.get(value)
    return value


def _convs_deep(observation: Observation, tip: Value, root: Value, shortcut: Op) -> int:
    """Largest number of convolutions from `root` to `tip` past the `shortcut`; 0 without a way."""
    depth: dict[Value, int] = {root: 0}
    start = observation.producer.get(root)
    started = start is None
    for op in observation.ops:
        if not started:
            started = op is start
            continue
        known = [depth[value] for value in op.inputs if value in depth]
        # Without this the end of one inverted bottleneck would pass for a shortcut of the next.
        if known and op is not shortcut:
            deeper = max(known) + ("convolution" in op.name)
            for value in op.outputs:
                depth[value] = deeper
    return depth.get(tip, 0)
