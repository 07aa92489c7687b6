"""Operations that take some channels out of a compact value."""

from __future__ import annotations

import numpy as np
from torch import fx

from pathlens.skipping.channels import Compact
from pathlens.skipping.operators import name_of
from pathlens.skipping.planning import Planner
from pathlens.skipping.steps.concatenation import Rearrangement


def slice_(planner: Planner, node: fx.Node) -> bool:
    """Some channels in a row, or every so many."""
    arguments = list(planner.arguments(node))
    defaults = [0, None, None, 1]
    source = arguments[0]
    dim, start, stop, step = arguments[1:] + defaults[len(arguments) - 1 :]
    form = planner.form.get(source)
    if form is None or form.flat or dim % len(planner.shape(source)) != 1:
        return False
    if not all(value is None or isinstance(value, int) for value in (start, stop, step)):
        return False
    _take_out(planner, source, node, np.arange(form.channels)[slice(start, stop, step)])
    return True


def split(planner: Planner, node: fx.Node) -> bool:
    """Pieces of channels; each becomes a step where it is read."""
    arguments = list(planner.arguments(node))
    source, sizes = arguments[:2]
    dim = arguments[2] if len(arguments) > 2 else 0
    form = planner.form.get(source)
    if form is None or form.flat or dim % len(planner.shape(source)) != 1:
        return False
    if any(name_of(user.target) != "getitem" for user in node.users):
        return False
    bounds = (
        np.arange(sizes, form.channels, sizes) if isinstance(sizes, int) else np.cumsum(sizes)[:-1]
    )
    pieces = np.split(np.arange(form.channels), bounds)
    for user in node.users:
        number = user.args[1]
        assert isinstance(number, int)
        _take_out(planner, source, user, pieces[number])
        planner.finish(user)
    return True


def item(planner: Planner, node: fx.Node) -> bool:
    """Whether another rule made this output already."""
    return node in planner.done


def _take_out(planner: Planner, source: fx.Node, node: fx.Node, channels: np.ndarray) -> None:
    form = planner.form[source]
    after = planner.new_kept()
    planner.emit(
        Rearrangement(
            planner.slots[source], planner.slots[node], form.kept, after, channels, form.channels
        )
    )
    absent = None if form.absent is None else form.absent[channels]
    if absent is not None and not absent.any():
        absent = None
    planner.form[node] = Compact(after, len(channels), absent)
