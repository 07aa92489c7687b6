"""`decouple()`: a network whose filters run image by image."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pathlens.decoupling.cost import Cost
from pathlens.decoupling.gating import Gating, GatingModule
from pathlens.decoupling.hashing import (
    GATE_MODES,
    GateMode,
    SemanticHashing,
    draw_coin,
    gates_from_logits,
)
from pathlens.decoupling.layout import GatedConv, Layout, NotGated, Where, lay_out
from pathlens.decoupling.observe import observe
from pathlens.decoupling.path import Path
from pathlens.layers import LayerSpec, LayerTable

Force = Mapping[LayerSpec, Any]
"""Layer (number, name or glob) to gates: a number, (filters,) or (N, filters); NaN leaves a gate
to the gating module."""


def decouple(
    model: nn.Module,
    example_input: Tensor | tuple[Any, ...],
    where: Where | None = None,
    *,
    gating: Gating | None = None,
    hashing: SemanticHashing | None = None,
) -> DecoupledNetwork:
    """Put a gating module in front of every convolution but the first and the classifier.

    The model is copied and stays as it was. It runs once on the example input, in eval mode, to
    find out which BN follows which convolution.

    Args:
        model: Any `nn.Module` with `Conv2d` modules.
        example_input: A batch of images (N, C, H, W), or the tuple of the model's arguments.
        where: Names, globs, or a predicate of (name, convolution); None gates all that can be.
        gating: Shape and start of the gating modules.
        hashing: Noise and mixing in training.

    Returns:
        A drop-in module: `network(x)` gives what the model gave.

    Raises:
        PathLensError: If the model does not run on the example input, or nothing can be gated.
    """
    layout = lay_out(model, observe(model, example_input), where)
    network = DecoupledNetwork(
        copy.deepcopy(model), layout, gating or Gating(), hashing or SemanticHashing()
    )
    reference = next(model.parameters(), None)
    if reference is not None:
        network.gating.to(device=reference.device, dtype=reference.dtype)
    # Modules of the model keep their own modes: a frozen BN stays frozen.
    network.training = model.training
    network.gating.train(model.training)
    return network


class DecoupledNetwork(nn.Module):
    """A network with a gating module in front of its convolutions; made by `decouple`.

    Attributes:
        model: The wrapped network, with its own weights and names.
        gating: The gating modules, by layer name with "/" for ".".
        layers: The gated layers, numbered from 1.
        not_gated: The other convolutions, each with its reason.
        hashing: Noise and mixing of the hash in training; may be replaced at any time.
        cost: Multiply-adds of a path.
    """

    def __init__(
        self, model: nn.Module, layout: Layout, gating: Gating, hashing: SemanticHashing
    ) -> None:
        super().__init__()
        self.model = model
        self.layers: LayerTable = layout.layers
        self.not_gated: tuple[NotGated, ...] = layout.not_gated
        self.hashing = hashing
        self.gating = nn.ModuleDict(
            {
                _key(conv.layer.name): GatingModule(
                    conv.layer.in_channels, conv.layer.filters, gating
                )
                for conv in layout.gated
            }
        )
        own = {
            name: module.macs
            for name, module in zip(self.layers.names, self._modules_of_gates(), strict=True)
        }
        self.cost = Cost.of(layout, own)
        self._switch = _Switch()
        self._hooks = _install(model, layout, self._switch)

    def _modules_of_gates(self) -> list[GatingModule]:
        return [module for module in self.gating.values() if isinstance(module, GatingModule)]

    def gating_module(self, layer: LayerSpec) -> GatingModule:
        """The gating module of one layer."""
        module = self.gating[_key(self.layers.find(layer).name)]
        assert isinstance(module, GatingModule)
        return module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model gave; hashed gates in train mode, hard gates in eval mode."""
        return self._run(args, kwargs, _Pass(self, None, None, responses=False))

    def with_path(
        self,
        *args: Any,
        force: Force | None = None,
        gates: GateMode | None = None,
        responses: bool = True,
        **kwargs: Any,
    ) -> tuple[Any, Path]:
        """Run the network and return its output with the path of every image.

        Args:
            *args: What the model takes, usually a batch of images (N, C, H, W).
            force: Gates to use instead of those decided: layer (number, name, glob) to a number,
                (filters,) or (N, filters); NaN entries stay decided by the gating module.
            gates: "hash" (default in train mode), "hard" (default in eval mode), "soft" or
                "straight-through".
            responses: Whether the path carries the pooled ungated outputs.
            **kwargs: What the model takes by keyword.

        Returns:
            (output, path); the path also carries `.logits` and `.responses`.

        Raises:
            PathLensError: If `force` names an unknown layer.
            ValueError: If `gates` is not a mode, or forced gates do not fit their layer.
        """
        run = _Pass(self, force, gates, responses=responses)
        return self._run(args, kwargs, run), run.path

    def _run(self, args: Any, kwargs: Any, run: _Pass) -> Any:
        outer = self._switch.current
        self._switch.current = run
        try:
            return self.model(*args, **kwargs)
        finally:
            self._switch.current = outer

    def restore(self) -> nn.Module:
        """The plain network with its current weights, without gating modules and hooks.

        Bit-equal to the original where nothing was trained. The decoupled network stays usable.
        """
        plain = copy.deepcopy(self.model)
        for module in plain.modules():
            for hooks in (module._forward_pre_hooks, module._forward_hooks):
                for key in [key for key, hook in hooks.items() if isinstance(hook, _Hook)]:
                    del hooks[key]
        return plain


def _key(name: str) -> str:
    # A ModuleDict takes no dots.
    return name.replace(".", "/")


class _Switch(threading.local):
    """The pass that is running in this thread, if any; outside one the network is plain."""

    current: _Pass | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> _Switch:
        fresh = _Switch()
        memo[id(self)] = fresh
        return fresh

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Switch, ())


class _Pass:
    """One forward pass: asks the gating modules, applies the gates, writes the path."""

    def __init__(
        self,
        network: DecoupledNetwork,
        force: Force | None,
        mode: GateMode | None,
        *,
        responses: bool,
    ) -> None:
        if mode is not None and mode not in GATE_MODES:
            raise ValueError(f"gates must be one of {GATE_MODES}, not {mode!r}")
        self.network = network
        self.mode: GateMode = mode or ("hash" if network.training else "hard")
        self.path = Path(network.layers)
        self.responses = responses
        self.force = {
            layer.name: gates
            for spec, gates in (force or {}).items()
            for layer in network.layers.select([spec])
        }
        self._coin: Tensor | None = None

    def ask(self, conv: GatedConv, x: Tensor) -> None:
        """Decide the gates of a layer from its input."""
        name = conv.layer.name
        logits = self.network.gating[_key(name)](x)
        hashing = self.network.hashing
        if hashing.shared_coin and self._coin is None:
            self._coin = draw_coin(logits, hashing)
        decided = gates_from_logits(logits, self.mode, hashing, self._coin)
        self.path.logits[name] = logits
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
        if self.responses:
            self.path.responses[conv.layer.name] = _activate(conv, y).mean(
                dim=(2, 3), dtype=gates.dtype
            )
        return y * gates[:, :, None, None].to(y.dtype)


def _activate(conv: GatedConv, y: Tensor) -> Tensor:
    """What the activation that follows the gate would make of the ungated output."""
    if not conv.activation:
        return y
    # The very operator that ran, so that its further arguments mean what they meant.
    operator: Callable[..., Tensor] = getattr(torch.ops.aten, conv.activation)
    return operator(y, *conv.activation_args)


class _Hook:
    """A hook as an object, so that a deep copy of the network copies it with its switch."""

    def __init__(self, conv: GatedConv, switch: _Switch) -> None:
        self.conv = conv
        self.switch = switch


class _Ask(_Hook):
    """Before the convolution: ask the gating module."""

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.switch.current is not None:
            self.switch.current.ask(self.conv, args[0] if args else kwargs["input"])


class _Apply(_Hook):
    """After the BN, or after the convolution where none follows: apply the gates."""

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        if self.switch.current is None:
            return output
        return self.switch.current.apply(self.conv, output)


def _install(model: nn.Module, layout: Layout, switch: _Switch) -> list[Any]:
    handles: list[Any] = []
    for conv in layout.gated:
        ask, apply = _Ask(conv, switch), _Apply(conv, switch)
        module = model.get_submodule(conv.layer.name)
        handles.append(module.register_forward_pre_hook(ask, with_kwargs=True))
        handles.append(model.get_submodule(conv.site).register_forward_hook(apply))
    return handles
