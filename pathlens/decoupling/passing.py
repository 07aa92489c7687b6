"""One forward pass of a decoupled network: its hooks ask the gating modules and apply the gates."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from pathlens.decoupling.gating import GatingModule
from pathlens.decoupling.hashing import GATE_MODES, GateMode
from pathlens.decoupling.layout import GatedConv, Layout
from pathlens.decoupling.path import Path
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec

if TYPE_CHECKING:
    from pathlens.decoupling.network import DecoupledNetwork

Force = Mapping[LayerSpec, Any]
"""Layer (number, name or glob) to gates: a number, (filters,) or (N, filters); NaN leaves a gate
to the gating module."""


def key_of(name: str) -> str:
    """The key of a layer's gating module: a ModuleDict takes no dots."""
    return name.replace(".", "/")


class Switch(threading.local):
    """The pass that is running in this thread, if any; outside one the network is plain."""

    def __init__(self) -> None:
        # In every thread's own attributes from the start, not on the class: torch.compile guards on
        # where it found it.
        self.current: Pass | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Switch:
        fresh = Switch()
        memo[id(self)] = fresh
        return fresh

    def __reduce__(self) -> tuple[Any, ...]:
        return (Switch, ())


class Pass:
    """One forward pass: asks the gating modules, applies the gates, writes the path."""

    def __init__(
        self,
        network: DecoupledNetwork,
        force: Force | None,
        mode: GateMode | None,
        *,
        responses: bool | Literal["detached"],
        magnitudes: bool = False,
    ) -> None:
        if mode is not None and mode not in GATE_MODES:
            raise ValueError(f"gates must be one of {GATE_MODES}, not {mode!r}")
        self.network = network
        self.mode: GateMode = mode or ("hash" if network.training else "hard")
        self.path = Path(network.layers)
        self.responses = responses
        self.magnitudes = magnitudes
        self.force = {
            layer.name: gates
            for spec, gates in (force or {}).items()
            for layer in network.layers.select([spec])
        }
        self._coin: Tensor | None = None

    def ask(self, conv: GatedConv, x: Tensor) -> None:
        """Decide the gates of a layer from its input."""
        name = conv.layer.name
        module, hashing = self.network.gating[key_of(name)], self.network.hashing
        assert isinstance(module, GatingModule)
        logits = module(x)
        if self._coin is None:
            self._coin = hashing.shared(logits)
        decided = module.decide(logits, self.mode, hashing, self._coin)
        self.path.logits[name] = logits
        amplitudes = module.amplitudes(logits)
        if amplitudes is not None:
            self.path.amplitudes[name] = amplitudes
        self.path.put(name, self._forced(name, decided))

    def _forced(self, name: str, decided: Tensor) -> Tensor:
        if name not in self.force:
            return decided
        given = torch.as_tensor(self.force[name]).to(decided)
        try:
            given = given.expand_as(decided)
        except RuntimeError as error:
            raise ValueError(
                f"forced gates of layer {name} have shape {tuple(given.shape)}; they must be a "
                f"number, ({decided.shape[1]},) or {tuple(decided.shape)}"
            ) from error
        return torch.where(given.isnan(), decided, given)

    def apply(self, conv: GatedConv, y: Tensor) -> Tensor:
        """Multiply the ungated output y by the gates of its layer."""
        gates = self.path[conv.layer.name]
        if self.responses or self.magnitudes:
            self._keep_response(conv, y, gates.dtype)
        if not self.network.applied:
            return y
        if conv.layer.name in self.path.amplitudes:
            gates = gates * self.path.amplitudes[conv.layer.name]
        shape = [len(gates)] + [1] * (y.dim() - 1)
        shape[conv.dim] = gates.shape[1]
        return y * gates.view(shape).to(y.dtype)

    def _keep_response(self, conv: GatedConv, y: Tensor, dtype: torch.dtype) -> None:
        positions = [dim for dim in range(1, y.dim()) if dim != conv.dim]
        # A map that no gradient needs is given back at once, and the next one takes its memory.
        y = y.detach() if self.responses == "detached" else y
        response = _activate(conv, y)
        if self.responses:
            self.path.responses[conv.layer.name] = response.mean(dim=positions, dtype=dtype)
        if self.magnitudes:
            square = response.float().square().mean(dim=positions)
            self.path.magnitudes[conv.layer.name] = square.sqrt()


def _activate(conv: GatedConv, y: Tensor) -> Tensor:
    """What the activation that follows the gate would make of the ungated output."""
    if not conv.activation:
        return y
    # The very operator that ran, so that its further arguments mean what they meant.
    operator: Callable[..., Tensor] = getattr(torch.ops.aten, conv.activation)
    return operator(y, *conv.activation_args)


class Hook:
    """A hook as an object, so that a deep copy of the network copies it with its switch."""

    def __init__(self, conv: GatedConv, switch: Switch) -> None:
        self.conv = conv
        self.switch = switch


class _Ask(Hook):
    """Before the convolution: ask the gating module."""

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.switch.current is not None:
            self.switch.current.ask(self.conv, args[0] if args else kwargs["input"])
        elif torch._C._current_graph_task_id() != -1:  # what torch.utils.checkpoint asks, too
            raise PathLensError(
                "Activation checkpointing inside a decoupled network is not supported: the gates are "
                "not known when a block runs again in the backward pass. Switch it off."
            )


class _Apply(Hook):
    """After the BN, or after the convolution where none follows: apply the gates."""

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        if self.switch.current is None:
            return output
        return self.switch.current.apply(self.conv, output)


def install(model: nn.Module, layout: Layout, switch: Switch) -> list[Any]:
    """Hook the gated convolutions of a model, and what follows them; returns the handles."""
    handles: list[Any] = []
    for conv in layout.gated:
        ask, apply = _Ask(conv, switch), _Apply(conv, switch)
        module = model.get_submodule(conv.layer.name)
        handles.append(module.register_forward_pre_hook(ask, with_kwargs=True))
        handles.append(model.get_submodule(conv.site).register_forward_hook(apply))
    return handles
