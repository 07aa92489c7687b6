"""`decouple()`: a network whose filters run image by image."""

from __future__ import annotations

import copy
from typing import Any, Literal

from torch import Tensor, nn

from pathlens.decoupling.cost import Cost
from pathlens.decoupling.gating import Gating, GatingKind, GatingModule
from pathlens.decoupling.hashing import GateMode, Hashing, SemanticHashing
from pathlens.decoupling.layout import Layout, NotGated, Where, lay_out
from pathlens.decoupling.observe import observe
from pathlens.decoupling.passing import Force, Hook, Pass, Switch, install, key_of
from pathlens.decoupling.path import Path
from pathlens.layers import LayerSpec, LayerTable


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
                key_of(conv.layer.name): gating.build(conv.layer.in_channels, conv.layer.filters)
                for conv in layout.gated
            }
        )
        own = {
            name: module.macs
            for name, module in zip(self.layers.names, self._modules_of_gates(), strict=True)
        }
        self.cost = Cost.of(layout, own)
        self._switch = Switch()
        self._hooks = install(model, layout, self._switch)

    def _modules_of_gates(self) -> list[GatingModule]:
        return [module for module in self.gating.values() if isinstance(module, GatingModule)]

    def gating_module(self, layer: LayerSpec) -> GatingModule:
        """The gating module of one layer."""
        module = self.gating[key_of(self.layers.find(layer).name)]
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
        return self._run(args, kwargs, Pass(self, None, None, responses=False))

    def with_path(
        self,
        *args: Any,
        force: Force | None = None,
        gates: GateMode | None = None,
        responses: bool | Literal["detached"] = True,
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
            responses: Whether the path carries the pooled ungated outputs; "detached" without a
                gradient to the network, which spares a training step their maps.
            magnitudes: Whether it carries their root mean squares.
            **kwargs: What the model takes by keyword.

        Returns:
            (output, path); the path also carries `.logits`, `.responses` and `.magnitudes`.

        Raises:
            PathLensError: If `force` names an unknown layer.
            ValueError: If `gates` is not a mode, or forced gates do not fit their layer.
        """
        run = Pass(self, force, gates, responses=responses, magnitudes=magnitudes)
        return self._run(args, kwargs, run), run.path

    def _run(self, args: Any, kwargs: Any, run: Pass) -> Any:
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
                for key in [key for key, hook in hooks.items() if isinstance(hook, Hook)]:
                    del hooks[key]
        return plain
