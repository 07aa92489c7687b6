"""Operations that treat every channel alike pass compact values on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, fx
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from pathlens.skipping.channels import Compact, everything
from pathlens.skipping.folding import scale_and_shift
from pathlens.skipping.operators import name_of
from pathlens.skipping.planning import Planner
from pathlens.skipping.steps.operator import Affine, Channelwise
from pathlens.skipping.steps.pooling import MaxPool
from pathlens.skipping.tracing import PerImage
from pathlens.skipping.windows import Window

_PASSING = {"clone", "alias", "detach", "contiguous", "lift_fresh"}


def pointwise(planner: Planner, node: fx.Node) -> bool:
    """A function of one value, element by element."""
    source = _only_value(planner, node)
    if source is None or source not in planner.form:
        return False
    function = (lambda x: x) if name_of(node.target) in _PASSING else _function(planner, node)
    return _pass_on(planner, node, source, function)


def picture(planner: Planner, node: fx.Node) -> bool:
    """Pooling and its like; their channels stay apart."""
    source = _only_value(planner, node)
    if source is None or len(planner.shape(source)) != 4:
        return False
    name = name_of(node.target)
    if name == "max_pool2d_with_indices":
        return _max_pool(planner, node, source)
    form = planner.form.get(source)
    if form is None or form.flat:
        return False
    if form.absent is not None and name == "avg_pool2d" and _pads(planner, node):
        return False
    return _pass_on(planner, node, source, _function(planner, node))


def _pads(planner: Planner, node: fx.Node) -> bool:
    arguments = planner.arguments(node)
    return len(arguments) > 3 and any(arguments[3])


def _max_pool(planner: Planner, node: fx.Node, source: fx.Node) -> bool:
    """Without the positions of the maxima, where nobody reads them."""
    items = list(node.users)
    if any(name_of(user.target) != "getitem" or user.args[1] != 0 for user in items):
        return False
    if len(items) != 1:
        return False
    form = planner.form.get(source)
    if form is not None and form.flat:
        return False
    slots = planner.slots[source], planner.slots[items[0]]
    step = MaxPool(planner.processor, *slots, _window(planner, node))
    planner.emit(step)
    planner.sums[items[0]] = step
    if form is not None:
        planner.form[items[0]] = form
    planner.finish(node, items[0])
    return True


def _window(planner: Planner, node: fx.Node) -> Window:
    _, *given = planner.arguments(node)
    usual = [(), 0, 1, False]
    kernel, stride, padding, dilation, ceil = given + usual[len(given) - 1 :]
    return Window(_pair(kernel), _pair(stride or kernel), _pair(padding), _pair(dilation), ceil)


def _pair(size: Any) -> tuple[int, int]:
    both = (size,) if isinstance(size, int) else tuple(size)
    return int(both[0]), int(both[-1])


def mean(planner: Planner, node: fx.Node) -> bool:
    """Mean or maximum over positions."""
    source = _only_value(planner, node)
    form = planner.form.get(source) if source is not None else None
    if source is None or form is None or form.flat or len(planner.shape(source)) != 4:
        return False
    arguments = planner.arguments(node)
    dims = {dim % 4 for dim in arguments[1]} if len(arguments) > 1 and arguments[1] else set()
    if dims != {2, 3}:
        return False
    return _pass_on(planner, node, source, _function(planner, node))


def normalise(planner: Planner, node: fx.Node) -> bool:
    """A batch norm that no convolution took in; a ReLU that follows goes with it."""
    arguments = planner.arguments(node)
    source, rest = arguments[0], [planner.constant(value) for value in arguments[1:5]]
    result = planner.reader(node)
    if result is None or name_of(result.target) != "getitem" or rest[2] is None or rest[3] is None:
        return False
    if len(planner.shape(source)) != 4:
        return False
    scale, shift = scale_and_shift(rest[0], rest[1], rest[2], rest[3], float(arguments[-1]))
    form = planner.form.get(source)
    if form is not None and form.flat:
        return False
    rectifier = planner.reader(result)
    rectify = rectifier is not None and name_of(rectifier.target) == "relu"
    end = rectifier if rectify and rectifier is not None else result
    _emit_affine(planner, source, end, form, scale, shift, rectify=rectify)
    planner.finish(node, result, end)
    return True


def _emit_affine(
    planner: Planner,
    source: fx.Node,
    end: fx.Node,
    form: Compact | None,
    scale: Tensor,
    shift: Tensor,
    *,
    rectify: bool,
) -> None:
    dtype = planner.processor.dtype
    kept: Any = everything(len(scale)) if form is None else form.kept
    planner.emit(
        Affine(
            planner.processor, planner.slots[source], planner.slots[end], kept,
            F.pad(scale, (0, 1)).to(dtype), F.pad(shift, (0, 1)).to(dtype),
            rectify=rectify, label="batch_norm",
        )
    )  # fmt: skip
    if form is None:
        return
    absent = (planner.absent(form).double() * scale + shift).to(dtype)
    absent = absent.relu() if rectify else absent
    planner.form[end] = Compact(form.kept, form.channels, absent if absent.any() else None)


def _only_value(planner: Planner, node: fx.Node) -> fx.Node | None:
    """The first argument, where it is the only one that is no number."""
    arguments, keywords = planner.trace.arguments[node]
    leaves = tree_leaves((arguments, keywords))
    values = [leaf for leaf in leaves if isinstance(leaf, fx.Node)]
    if len(values) != 1 or not arguments or arguments[0] is not values[0]:
        return None
    if any(isinstance(leaf, PerImage) for leaf in leaves) or values[0] in planner.constants:
        return None
    return values[0] if values[0] not in planner.layer_of else None


def _function(planner: Planner, node: fx.Node) -> Callable[[Tensor], Any]:
    arguments, keywords = planner.trace.arguments[node]
    further = tuple(arguments[1:])
    target: Any = node.target
    return lambda x: target(x, *further, **keywords)


def _pass_on(
    planner: Planner, node: fx.Node, source: fx.Node, function: Callable[[Tensor], Any]
) -> bool:
    form = planner.form[source]
    # Of pictures, because some operators take nothing else; of some size, because pools need it.
    size = planner.shape(source)
    probe = planner.absent(form).view(1, -1, *[1] * (len(size) - 2)).expand(1, -1, *size[2:])
    if form.flat:
        probe = planner.absent(form).view(1, -1)
    made = function(probe.contiguous())
    if isinstance(made, tuple):
        return False
    absent = made.flatten(2)[0, :, 0] if made.dim() > 2 else made[0]
    planner.emit(
        Channelwise(function, planner.slots[source], planner.slots[node], name_of(node.target))
    )
    planner.form[node] = Compact(
        form.kept, form.channels, absent.clone() if bool(absent.any()) else None, form.flat
    )
    return True
