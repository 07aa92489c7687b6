"""From the graph of a run to the steps of a plan."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from pathlens.decoupling import DecoupledNetwork, NotGated
from pathlens.skipping.channels import Compact
from pathlens.skipping.folding import layers_of
from pathlens.skipping.lifetimes import lifetimes
from pathlens.skipping.operators import name_of
from pathlens.skipping.plan import Plan
from pathlens.skipping.processor import Processor
from pathlens.skipping.steps.base import Step
from pathlens.skipping.steps.gating import Decide, Gates, Pool
from pathlens.skipping.steps.operator import Argument, Operator, Scatter
from pathlens.skipping.steps.summing import Summing
from pathlens.skipping.tracing import PerImage, Trace
from pathlens.skipping.weights import PathCache


class Planner:
    """Turns operations into steps one after the other; the rules are in `rules/`.

    Attributes:
        form: What is known of the values that are compact.
        layer_of: Number of the gated layer, from 0, by the gate's node.
        sums: Steps that can sum what they make, by what that is.
    """

    def __init__(
        self, network: DecoupledNetwork, trace: Trace, processor: Processor, cache: PathCache
    ) -> None:
        self.network, self.trace, self.processor, self.cache = network, trace, processor, cache
        self.nodes = list(trace.module.graph.nodes)
        self.slots = {node: number for number, node in enumerate(self.nodes)}
        self.count = len(self.nodes)
        self.kept_count = 0
        self.steps: list[Step] = []
        self.form: dict[fx.Node, Compact] = {}
        self.constants: dict[fx.Node, Tensor] = {}
        self.layer_of = {gate: number for number, gate in enumerate(trace.gates)}
        self.kept_of_layer: dict[int, int] = {}
        self.fallbacks: list[NotGated] = []
        self.done: set[fx.Node] = set(trace.inputs)
        self.sums: dict[fx.Node, Summing] = {}
        self._dense: dict[fx.Node, int] = {}
        self._pooled: dict[fx.Node, int] = {}
        self._names = {id(parameter): name for name, parameter in network.model.named_parameters()}
        self._weights = {
            id(network.model.get_submodule(layer.name).weight): number
            for number, layer in enumerate(network.layers)
        }

    # What a rule reads.

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """Shape of a value in the traced batch."""
        value = node.meta["val"]
        value = value[0] if isinstance(value, tuple | list) else value
        return tuple(int(size) for size in value.shape)

    def arguments(self, node: fx.Node) -> Any:
        """Positional arguments of an operation."""
        return self.trace.arguments[node][0]

    def constant(self, node: Any) -> Tensor | None:
        """The tensor behind a node that hangs on no input; None for others."""
        return self.constants.get(node) if isinstance(node, fx.Node) else None

    def weight_layer(self, node: fx.Node) -> int | None:
        """Number of the gated layer that a weight belongs to."""
        if node.op != "get_attr":
            return None
        return self._weights.get(id(getattr(self.trace.module, str(node.target))))

    def name_of_weight(self, node: fx.Node) -> str:
        """Dotted name of the module that owns a weight; "" if it is computed."""
        if node.op != "get_attr":
            return ""
        name = self._names.get(id(getattr(self.trace.module, str(node.target))), "")
        return name.rpartition(".")[0]

    def origin(self, node: fx.Node) -> str:
        """Name of the nearest convolution that a value comes from."""
        waiting, seen = [node], {node}
        for found in waiting:  # grows while it is gone through: the nearest first
            if found.op == "call_function" and name_of(found.target) == "convolution":
                weight = found.all_input_nodes[1]
                return self.name_of_weight(weight) or str(found)
            before = [other for other in found.all_input_nodes if other not in seen]
            seen.update(before)
            waiting.extend(before)
        return str(node)

    def reader(self, node: fx.Node) -> fx.Node | None:
        """The one operation that reads a value; None if several do, or the network returns it."""
        users = [user for user in node.users if user.op != "output"]
        if len(users) != len(node.users) or len(users) != 1:
            return None
        return users[0]

    # What a rule does.

    def emit(self, step: Step) -> None:
        """Append a step."""
        self.steps.append(step)

    def new_slot(self) -> int:
        """A slot that belongs to no node."""
        self.count += 1
        return self.count - 1

    def new_kept(self) -> int:
        """A number for a further `Kept`."""
        self.kept_count += 1
        return self.kept_count - 1

    def finish(self, *nodes: fx.Node) -> None:
        """Mark operations as taken over by a step."""
        self.done.update(nodes)

    def note(self, layer: str, reason: str) -> None:
        """Say where skipping stops."""
        entry = NotGated(layer, reason)
        if entry not in self.fallbacks:
            self.fallbacks.append(entry)

    def absent(self, form: Compact) -> Tensor:
        """Values of absent channels, (channels,)."""
        if form.absent is not None:
            return form.absent
        return torch.zeros(form.channels, device=self.processor.device, dtype=self.processor.dtype)

    def dense(self, node: fx.Node, reason: str = "") -> int:
        """Slot of a value with all its channels, which is made where there is none yet."""
        if node in self.layer_of:
            return self._gates(node)
        form = self.form.get(node)
        if form is None:
            return self.slots[node]
        if node not in self._dense:
            slot = self._dense[node] = self.new_slot()
            step = Scatter(self.processor, self.slots[node], slot, form.kept, self.absent(form))
            self.emit(step)
            if form.flat:
                self._dense[node] = self._flattened(slot)
        if reason:
            self.note(self.origin(node), reason)
        return self._dense[node]

    def _flattened(self, source: int) -> int:
        target = self.new_slot()
        argument: Argument = lambda run: run.values[source]  # noqa: E731
        self.emit(
            Operator(
                lambda x: x.flatten(1),
                (argument,),
                {},
                (source,),
                target,
                shares=True,
                label="view",
            )
        )
        return target

    def _gates(self, node: fx.Node) -> int:
        if node not in self._dense:
            layer = self.layer_of[node]
            self.decide(layer)
            self._dense[node] = self.slots[node]
            self.emit(Gates(self.slots[node], layer, self.processor.dtype, self.processor.device))
        return self._dense[node]

    def decide(self, layer: int) -> int:
        """Ask the gating module of a layer, once; returns the number of its `Kept`."""
        if layer in self.kept_of_layer:
            return self.kept_of_layer[layer]
        asked = self.trace.asked[layer]
        module = self.network.gating_module(layer + 1)
        layers = layers_of(module)
        if layers is not None and len(self.shape(asked)) == 4:
            source, pool = self._pool(asked, layers.first.dtype)
        else:
            layers, source, pool = None, self.dense(asked), None
        kept = self.kept_of_layer[layer] = self.new_kept()
        self.emit(Decide(self.processor, self.network, module, layer, source, kept, layers, pool))
        return kept

    def _pool(self, node: fx.Node, dtype: torch.dtype) -> tuple[int, Pool | None]:
        """Slot of a value's means over pixels, and what makes them, where nothing does so far."""
        if node in self._pooled:
            return self._pooled[node], None
        form = self.form.get(node)
        base = torch.zeros(self.shape(node)[1]) if form is None else self.absent(form)
        base = base.to(self.processor.device, dtype).contiguous()
        target = self._pooled[node] = self.new_slot()
        kept = None if form is None else form.kept
        pixels = math.prod(self.shape(node)[2:])
        pool = Pool(self.processor, self.slots[node], target, kept, base, pixels)
        if node not in self.sums:
            return target, pool
        self.sums[node].pools(pool)
        return target, None

    # The whole plan.

    def plan(self, rules: dict[str, Rule], otherwise: Rule) -> Plan:
        """Go through all operations; `otherwise` takes those that no rule takes."""
        for node in self.nodes:
            if node.op == "get_attr":
                self.constants[node] = self.trace.weight(node)
            elif node.op == "call_function":
                self._fold(node)
        for node in self.nodes:
            if node.op == "call_function" and node not in self.done and node not in self.constants:
                rule = rules.get(name_of(node.target))
                if rule is None or not rule(self, node):
                    otherwise(self, node)
        for layer in range(len(self.network.layers)):
            self.decide(layer)
        outputs = tuple(self.dense(node) for node in self.trace.outputs)
        return self._finish(outputs)

    def _fold(self, node: fx.Node) -> None:
        """Compute what hangs on weights alone, once."""
        args, kwargs = self.trace.arguments[node]
        leaves = tree_leaves((args, kwargs))
        nodes = [leaf for leaf in leaves if _is_node(leaf)]
        if any(isinstance(leaf, PerImage) for leaf in leaves):
            return
        if not nodes or not all(leaf in self.constants for leaf in nodes):
            return
        replace = torch.utils._pytree.tree_map(
            lambda leaf: self.constants[leaf] if _is_node(leaf) else leaf, (args, kwargs)
        )
        self.constants[node] = node.target(*replace[0], **replace[1])  # type: ignore[operator]

    def _finish(self, outputs: tuple[int, ...]) -> Plan:
        inputs = tuple(self.slots[node] for node in self.trace.inputs)
        return Plan(
            steps=self.steps,
            dead=lifetimes(self.steps, inputs, outputs),
            slots=self.count,
            kept=self.kept_count,
            inputs=inputs,
            outputs=outputs,
            fallbacks=tuple(self.fallbacks),
            trace=self.trace,
        )


def _is_node(leaf: Any) -> bool:
    return isinstance(leaf, fx.Node)


Rule = Callable[[Planner, fx.Node], bool]
"""Makes steps of an operation, and says whether it did."""
