"""Operations of several values: additions, products, concatenations."""

from __future__ import annotations

import torch
from torch import Tensor, fx

from pathlens.skipping.channels import Compact, everything
from pathlens.skipping.operators import name_of
from pathlens.skipping.planning import Planner
from pathlens.skipping.rules.channelwise import pointwise
from pathlens.skipping.steps.addition import Addition
from pathlens.skipping.steps.concatenation import Concatenation
from pathlens.skipping.steps.gating import Gate
from pathlens.skipping.steps.operator import Operator, Scale


def join(planner: Planner, node: fx.Node) -> bool:
    """A sum or product of two values, or of one and a number."""
    arguments, keywords = planner.trace.arguments[node]
    if len(arguments) != 2 or keywords:
        return pointwise(planner, node) if not keywords else False
    a, b = arguments
    if not (isinstance(a, fx.Node) and isinstance(b, fx.Node)):
        return pointwise(planner, node)
    if a in planner.constants or b in planner.constants:
        return False
    if name_of(node.target) == "mul":
        return _gate(planner, node, a, b) or _product(planner, node, a, b)
    return _sum(planner, node, a, b)


def _gate(planner: Planner, node: fx.Node, a: fx.Node, b: fx.Node) -> bool:
    """Gates on a value that their convolution did not make alone."""
    if a in planner.layer_of:
        a, b = b, a
    if b not in planner.layer_of or len(planner.shape(a)) != 4:
        return False
    layer = planner.layer_of[b]
    name = planner.network.layers[layer].name
    planner.note(name, "what comes before its gates needs all filters: it runs dense")
    source, kept = planner.dense(a), planner.decide(layer)
    planner.emit(Gate(source, planner.slots[node], layer, kept, name))
    planner.form[node] = Compact(kept, planner.shape(a)[1])
    return True


def _product(planner: Planner, node: fx.Node, a: fx.Node, b: fx.Node) -> bool:
    """A compact value and a dense factor by channel."""
    if a not in planner.form:
        a, b = b, a
    form = planner.form.get(a)
    if form is None or form.absent is not None or form.flat or b in planner.layer_of:
        return False
    whole, factor = planner.shape(a), planner.shape(b)
    if len(factor) != len(whole) or factor[1] != whole[1] or planner.shape(node) != whole:
        return False
    other = planner.form.get(b)
    if other is not None and other.kept == form.kept:
        _both(planner, node, a, b)
    else:
        planner.emit(Scale(planner.slots[a], planner.dense(b), planner.slots[node], form.kept))
    planner.form[node] = form
    return True


def _both(planner: Planner, node: fx.Node, a: fx.Node, b: fx.Node) -> None:
    """Two values with the same channels."""
    first, second = planner.slots[a], planner.slots[b]
    planner.emit(
        Operator(
            torch.mul if name_of(node.target) == "mul" else torch.add,
            (lambda run: run.values[first], lambda run: run.values[second]),
            {},
            (first, second),
            planner.slots[node],
            shares=False,
            label=name_of(node.target),
        )
    )


def _sum(planner: Planner, node: fx.Node, a: fx.Node, b: fx.Node) -> bool:
    if planner.shape(a) != planner.shape(b) or {a, b} & set(planner.layer_of):
        return False
    if len(planner.shape(a)) not in (2, 4):
        return False
    if a in planner.form and b not in planner.form:
        a, b = b, a
    form, other = planner.form.get(b), planner.form.get(a)
    if form is not None and other is not None and form.kept == other.kept and not form.flat:
        _both(planner, node, a, b)
        absent = planner.absent(form) + planner.absent(other)
        planner.form[node] = Compact(form.kept, form.channels, absent if absent.any() else None)
        return True
    kept = None
    if form is not None and form.absent is None and not form.flat:
        branch, kept = planner.slots[b], form.kept
    else:
        branch = planner.dense(b)
    stream = planner.dense(a)
    rectifier = planner.reader(node)
    rectify = rectifier is not None and name_of(rectifier.target) == "relu"
    end = rectifier if rectify and rectifier is not None else node
    step = Addition(planner.processor, stream, branch, planner.slots[end], kept, rectify=rectify)
    planner.emit(step)
    planner.sums[end] = step
    planner.finish(node, end)
    return True


def concatenate(planner: Planner, node: fx.Node) -> bool:
    """Values side by side along the channels."""
    arguments = planner.arguments(node)
    parts = arguments[0]
    dim = arguments[1] if len(arguments) > 1 else 0
    rank = len(planner.shape(node))
    if dim % rank != 1 or rank not in (2, 4) or not any(part in planner.form for part in parts):
        return False
    forms = [planner.form.get(part) for part in parts]
    if any(part in planner.constants or part in planner.layer_of for part in parts):
        return False
    if any(form is not None and form.flat for form in forms):
        return False
    channels = [planner.shape(part)[1] for part in parts]
    absent = torch.cat([_absent(planner, form, c) for form, c in zip(forms, channels, strict=True)])
    kept = planner.new_kept()
    planner.emit(
        Concatenation(
            tuple(planner.slots[part] for part in parts),
            tuple(
                everything(c) if form is None else form.kept
                for form, c in zip(forms, channels, strict=True)
            ),
            planner.slots[node],
            kept,
        )
    )
    planner.form[node] = Compact(kept, sum(channels), absent if absent.any() else None)
    return True


def _absent(planner: Planner, form: Compact | None, channels: int) -> Tensor:
    none = torch.zeros(channels, device=planner.processor.device, dtype=planner.processor.dtype)
    return none if form is None else planner.absent(form)
