"""The graph of a decoupled network's run: every operation, with the places where gates act.

The network is traced with its gates as further inputs, so that the multiplication by a layer's gates
stands in the graph as an operation on that input, and what the gating module reads is an output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._pytree import TreeSpec, tree_flatten

from pathlens.decoupling import DecoupledNetwork
from pathlens.decoupling.layout import GatedConv

_BATCHES = (2, 3)
"""Sizes of the two traced batches: an argument that differs between them hangs on the batch."""


class NotTraced(Exception):
    """A network whose run cannot be turned into a plan; the message says why."""


@dataclass(frozen=True)
class PerImage:
    """An integer argument that is so many times the number of images."""

    count: int


@dataclass(frozen=True)
class Trace:
    """One traced run.

    Attributes:
        module: The traced operations, in running order, and the weights that they read.
        arguments: (args, kwargs) of each operation, with `PerImage` where a number hangs on the batch.
        inputs: The network's own inputs.
        gates: The gates of each layer, an input of shape (N, filters, 1, 1), in running order.
        asked: What the gating module of each layer reads.
        outputs: The tensors that the network returns.
        structure: How they are put together; where the network returns other things too, they stand
            in `leaves`.
        leaves: All leaves of the output: a number of `outputs`, or a constant.
        by_image: Whether all outputs have the images first.
    """

    module: fx.GraphModule
    arguments: dict[fx.Node, tuple[Any, Any]]
    inputs: tuple[fx.Node, ...]
    gates: tuple[fx.Node, ...]
    asked: tuple[fx.Node, ...]
    outputs: tuple[fx.Node, ...]
    structure: TreeSpec
    leaves: tuple[Any, ...]
    by_image: bool

    def weight(self, node: fx.Node) -> Tensor:
        """The tensor that a node without inputs stands for."""
        found: Any = self.module
        for part in str(node.target).split("."):
            found = getattr(found, part)
        weight: Tensor = found.detach()
        return weight


class _Marks:
    """Stands in for a pass: multiplies by given gates, and keeps what the gating modules read."""

    def __init__(self, gates: dict[str, Tensor]) -> None:
        self.gates = gates
        self.asked: dict[str, Tensor] = {}

    def ask(self, conv: GatedConv, x: Tensor) -> None:
        self.asked[conv.layer.name] = x

    def apply(self, conv: GatedConv, y: Tensor) -> Tensor:
        gates = self.gates[conv.layer.name]
        if conv.dim != 1 or y.dim() != 4:
            shape = [len(gates)] + [1] * (y.dim() - 1)
            shape[conv.dim] = -1
            gates = gates.view(shape)
        return y * gates


@contextmanager
def _eval_mode(network: DecoupledNetwork) -> Iterator[None]:
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def trace(network: DecoupledNetwork, arguments: tuple[Tensor, ...]) -> Trace:
    """Trace a network on two batches made of the first image of its arguments.

    Args:
        network: Left as it was; not traced while another thread runs it.
        arguments: What the network takes, tensors with images first.

    Raises:
        NotTraced: If its operations hang on the batch in a way that cannot be followed.
    """
    with _eval_mode(network), torch.no_grad():
        runs = [_Recorded(network, arguments, images) for images in _BATCHES]
    first, second = (run.module for run in runs)
    pairs = list(zip(first.graph.nodes, second.graph.nodes, strict=False))
    if len(first.graph.nodes) != len(second.graph.nodes) or any(
        a.op != b.op or (a.op == "call_function" and a.target is not b.target) for a, b in pairs
    ):
        raise NotTraced("its operations depend on the number of images")
    partner = {b: a for a, b in pairs}
    merged = {
        a: (_merge(a.args, b.args, partner), _merge(a.kwargs, b.kwargs, partner))
        for a, b in pairs
        if a.op == "call_function"
    }
    by_image = all(run.by_image(n) for run, n in zip(runs, _BATCHES, strict=True))
    return runs[0].trace(merged, by_image)


class _Recorded:
    """The traced run of one batch size."""

    def __init__(
        self, network: DecoupledNetwork, arguments: tuple[Tensor, ...], images: int
    ) -> None:
        # An image repeated and scaled, so that nothing in the run is equal by accident only.
        self.inputs = [argument[:1].repeat_interleave(images, 0) for argument in arguments]
        self.gates = [
            inputs_like(self.inputs[0], (images, layer.filters, 1, 1)) for layer in network.layers
        ]
        self.names = network.layers.names
        self.network = network
        self.module = self._record()
        self.module.graph.eliminate_dead_code()

    def _record(self) -> fx.GraphModule:
        from torch.fx.experimental.proxy_tensor import make_fx

        functional: Callable[..., Any] = torch.func.functionalize(self._run, remove="mutations")
        try:
            module: fx.GraphModule = make_fx(functional, tracing_mode="real")(
                *self.inputs, *self.gates
            )
        except Exception as error:  # whatever the user's code or an operator without a rule raises
            message = str(error).strip().splitlines()
            raise NotTraced(message[0] if message else type(error).__name__) from error
        return module

    def _run(self, *given: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        count = len(self.inputs)
        marks = _Marks(dict(zip(self.names, given[count:], strict=True)))
        switch = self.network._switch
        outer, switch.current = switch.current, marks  # type: ignore[assignment]
        try:
            output = self.network.model(*given[:count])
        finally:
            switch.current = outer
        leaves, self.structure = tree_flatten(output)
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        self.shapes = [tuple(tensor.shape) for tensor in tensors]
        numbers = iter(range(len(tensors)))
        self.leaves = tuple(
            _Output(next(numbers)) if isinstance(leaf, Tensor) else leaf for leaf in leaves
        )
        for name, asked in marks.asked.items():
            # Compiled loops read so many rows from its address.
            if asked.shape[:1] != given[0].shape[:1]:
                raise NotTraced(f"layer {name} reads a value that has no row for every image")
        return tensors, [marks.asked[name] for name in self.names]

    def by_image(self, images: int) -> bool:
        """Whether all outputs have the images first."""
        return all(shape[:1] == (images,) for shape in self.shapes)

    def trace(self, arguments: dict[fx.Node, tuple[Any, Any]], by_image: bool) -> Trace:
        nodes = list(self.module.graph.nodes)
        placeholders = [node for node in nodes if node.op == "placeholder"]
        count = len(self.inputs)
        # make_fx returns all tensors in one list.
        returned = list(torch.utils._pytree.tree_leaves(nodes[-1].args))
        outputs = len(returned) - len(self.names)
        return Trace(
            module=self.module,
            arguments=arguments,
            inputs=tuple(placeholders[:count]),
            gates=tuple(placeholders[count:]),
            asked=tuple(returned[outputs:]),
            outputs=tuple(returned[:outputs]),
            structure=self.structure,
            leaves=self.leaves,
            by_image=by_image,
        )


@dataclass(frozen=True)
class _Output:
    """Number of a tensor among the network's outputs."""

    number: int


def inputs_like(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Ones of a shape, on the device and in the precision of `x`."""
    return torch.ones(shape, device=x.device, dtype=x.dtype)


def assemble(trace: Trace, outputs: list[Tensor]) -> Any:
    """Put tensors together to what the network returns."""
    from torch.utils._pytree import tree_unflatten

    leaves = [outputs[leaf.number] if isinstance(leaf, _Output) else leaf for leaf in trace.leaves]
    return tree_unflatten(leaves, trace.structure)


def _merge(a: Any, b: Any, partner: dict[fx.Node, fx.Node]) -> Any:
    """One argument of both runs: equal, or a multiple of the number of images."""
    if isinstance(a, fx.Node):
        if partner.get(b) is not a:
            raise NotTraced("its operations depend on the number of images")
        return a
    if isinstance(a, dict):
        return {key: _merge(a[key], b[key], partner) for key in a}
    if isinstance(a, list | tuple):
        if len(a) != len(b):
            raise NotTraced("its operations depend on the number of images")
        return [_merge(x, y, partner) for x, y in zip(a, b, strict=True)]
    if type(a) is int and a != b:
        return _per_image(a, b)
    if a != b and not (isinstance(a, float) and a != a):
        raise NotTraced("its operations depend on the number of images")
    return a


def _per_image(a: int, b: int) -> PerImage:
    count, rest = divmod(b - a, _BATCHES[1] - _BATCHES[0])
    if rest or a != count * _BATCHES[0]:
        raise NotTraced("a size in it is no multiple of the number of images")
    return PerImage(count)
