"""`decouple()`: a network whose filters run image by image."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pathlens.decoupling.cost import Cost
from pathlens.decoupling.gating import Gating, GatingKind, GatingModule
from pathlens.decoupling.hashing import GATE_MODES, GateMode, Hashing, SemanticHashing
from pathlens.decoupling.layout import GatedConv, Layout, NotGated, Where, lay_out
from pathlens.decoupling.observe import observe
from pathlens.decoupling.path import Path
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec, LayerTable

Force = Mapping[LayerSpec, Any]
"""Layer (number, name or glob) to gates: a number, (filters,) or (N, filters); NaN leaves a gate
to the gating module."""


def decouple(
    model: nn.Module,
    example_input: Tensor | tuple[Any, ...],
    where: Where | None = None,
    *,
    projections: bool = False,
    gating: GatingKind | None = None,
    hashing: Hashing | None = None,
) -> DecoupledNetwork:
    """Put a gating module in front of every convolution but the first and the classifier.

    The model is copied and stays as it was. It runs once on the example input, in eval mode, to
    find out which BN follows which convolution. Where a norm follows, the gate multiplies its output;
    a group or layer norm then still sees the filters that are off. A convolution that something else
    follows first is gated on its own output.

    Args:
        model: Any `nn.Module` with `Conv2d` modules.
        example_input: A batch of images (N, C, H, W), or the tuple of the model's arguments.
        where: Names, globs, or a predicate of (name, convolution); None gates all that can be.
        projections: Whether 1 × 1 convolutions on shortcuts are gated too. They carry the residual
            stream, which otherwise stays whole.
        gating: Kind, shape and start of the gating modules.
        hashing: Variant of the hash, its noise and mixing in training.

    Returns:
        A drop-in module: `network(x)` gives what the model gave.

    Raises:
        PathLensError: If the model does not run on the example input, or nothing can be gated.
    """
    layout = lay_out(model, observe(model, example_input), where, projections=projections)
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
        hashing: Variant of the hash, its noise and mixing; may be replaced at any time.
        applied: Whether gates multiply the outputs. If False they are decided and stand in the path,
            forced ones too, but the network runs as the plain one, its modules in eval mode even in
            training (gating modules that are trained beside a network without routing it).
        cost: Multiply-adds of a path.
    """

    def __init__(
        self, model: nn.Module, layout: Layout, gating: GatingKind, hashing: Hashing
    ) -> None:
        super().__init__()
        self.model = model
        self.layers: LayerTable = layout.layers
        self.not_gated: tuple[NotGated, ...] = layout.not_gated
        self.hashing = hashing
        self.applied = True
        self.gating = nn.ModuleDict(
            {
                _key(conv.layer.name): gating.build(conv.layer.in_channels, conv.layer.filters)
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

    def train(self, mode: bool = True) -> DecoupledNetwork:
        """Set train or eval mode; a network whose gates are not applied stays in eval mode."""
        super().train(mode)
        if not self.applied:
            self.model.eval()
        return self

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model gave; hashed gates in train mode, hard gates in eval mode."""
        return self._run(args, kwargs, _Pass(self, None, None, responses=False))

    def with_path(
        self,
        *args: Any,
        force: Force | None = None,
        gates: GateMode | None = None,
        responses: bool = True,
        magnitudes: bool = False,
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
            magnitudes: Whether it carries their root mean squares.
            **kwargs: What the model takes by keyword.

        Returns:
            (output, path); the path also carries `.logits`, `.responses` and `.magnitudes`.

        Raises:
            PathLensError: If `force` names an unknown layer.
            ValueError: If `gates` is not a mode, or forced gates do not fit their layer.
        """
        run = _Pass(self, force, gates, responses=responses, magnitudes=magnitudes)
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

    def __init__(self) -> None:
        # In every thread's own attributes from the start, not on the class: torch.compile guards on
        # where it found it.
        self.current: _Pass | None = None

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
        module, hashing = self.network.gating[_key(name)], self.network.hashing
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
        shape[conv.dim] = -1
        return y * gates.view(shape).to(y.dtype)

    def _keep_response(self, conv: GatedConv, y: Tensor, dtype: torch.dtype) -> None:
        response = _activate(conv, y)
        positions = [dim for dim in range(1, y.dim()) if dim != conv.dim]
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
        elif torch._C._current_graph_task_id() != -1:  # what torch.utils.checkpoint asks, too
            raise PathLensError(
                "Activation checkpointing inside a decoupled network is not supported: the gates are "
                "not known when a block runs again in the backward pass. Switch it off."
            )


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
