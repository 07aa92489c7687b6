"""`skip()`: a network for inference that runs only the filters on the path."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pathlens.decoupling import DecoupledNetwork, NotGated, Path
from pathlens.decoupling.passing import Force
from pathlens.errors import PathLensError
from pathlens.layers import LayerTable
from pathlens.skipping.calibration import Calibration, Mode, calibrate
from pathlens.skipping.paths import forced_gates, path_of
from pathlens.skipping.plan import Plan
from pathlens.skipping.planning import Planner
from pathlens.skipping.processor import processor_for
from pathlens.skipping.refusals import InferenceOnly
from pathlens.skipping.rules import OTHERWISE, RULES
from pathlens.skipping.run import Run
from pathlens.skipping.static import StaticNetwork
from pathlens.skipping.tracing import NotTraced, assemble, trace
from pathlens.skipping.weights import PathCache


def skip(
    network: DecoupledNetwork,
    example_input: Tensor | tuple[Tensor, ...],
    *,
    device: str | torch.device | None = None,
    cache_bytes: int = 64 * 2**20,
    compiled: bool = True,
) -> SkippingNetwork:
    """Make a network for inference that runs only the filters on the path of each image.

    Its outputs are those of the decoupled network in eval mode with hard gates, up to rounding, for
    images of finite numbers (of NaN the masked network makes NaN, and this one may not). The weights
    are copied: what is trained afterwards does not show.

    Args:
        network: A decoupled network whose gates are applied; left as it was.
        example_input: A batch of images (N, C, H, W), or the tuple of the network's arguments. Other
            sizes of picture are planned when they first come.
        device: Where to run; None for the network's own.
        cache_bytes: Most memory for gathered weights of frequent paths; 0 for no cache.
        compiled: Whether compiled loops and fused operators are used where there are any; False for
            plain torch operators, to compare with.

    Raises:
        PathLensError: If the gates are not applied, or the network does not run on the example input.
    """
    if not network.applied:
        raise PathLensError(
            "The gates of this network are decided but not applied, so nothing can be skipped: set "
            "network.applied = True, or use the plain network."
        )
    own = copy.deepcopy(network).eval()
    if device is not None:
        own.to(device)
    made = SkippingNetwork(own, cache_bytes, compiled=compiled)
    arguments = example_input if isinstance(example_input, tuple) else (example_input,)
    made.plan_for(tuple(argument.to(made.device) for argument in arguments))
    return made


class SkippingNetwork(InferenceOnly):
    """Runs only the filters on the path; made by `skip`, for inference only.

    Safe to call from several threads. It cannot be trained, moved, copied or pickled: make another
    with `skip`.

    Attributes:
        layers: The gated layers, numbered from 1.
        device: Where it runs.
        cache: Gathered weights of frequent paths.
        modes: Batch size to the way in which such batches run, as calibrated; "union" without.
    """

    def __init__(
        self, network: DecoupledNetwork, cache_bytes: int, *, compiled: bool = True
    ) -> None:
        super().__init__()
        reference = next(network.parameters())
        self.layers: LayerTable = network.layers
        self.device = reference.device
        self.cache = PathCache(cache_bytes)
        self._network = [network]  # in a list, so that it is no submodule
        self._processor = processor_for(reference.device, reference.dtype, compiled=compiled)
        self._plans: dict[Any, Plan | NotTraced] = {}
        self._lock = threading.Lock()
        self.modes: dict[int, Mode] = {}
        self.train(False)

    @property
    def fallbacks(self) -> tuple[NotGated, ...]:
        """Where filters or inputs are not skipped: layer and reason, over all sizes of picture."""
        found: dict[NotGated, None] = {}
        for plan in self._plans.values():
            if isinstance(plan, NotTraced):
                found[NotGated("the whole network", f"runs masked: {plan}")] = None
            else:
                found.update(dict.fromkeys(plan.fallbacks))
        return tuple(found)

    def plan_for(self, arguments: tuple[Tensor, ...]) -> Plan | None:
        """The plan for arguments of these shapes; None where the masked network has to run."""
        key = tuple((tuple(argument.shape[1:]), argument.dtype) for argument in arguments)
        plan = self._plans.get(key)
        if plan is None:
            with self._lock:
                plan = self._plans.get(key)
                if plan is None:
                    plan = self._plans[key] = self._planned(arguments)
        return None if isinstance(plan, NotTraced) else plan

    def _planned(self, arguments: tuple[Tensor, ...]) -> Plan | NotTraced:
        network = self._network[0]
        try:
            # Of weights in their own precision: the same plan serves runs with and without autocast.
            plain = torch.autocast(self.device.type, enabled=False)
            with torch.inference_mode(False), torch.no_grad(), plain:
                traced = trace(network, tuple(argument.clone() for argument in arguments))
                return Planner(network, traced, self._processor, self.cache).plan(RULES, OTHERWISE)
        except NotTraced as reason:
            # Made to run, it says itself what is wrong with the input.
            return reason

    def forward(self, *args: Tensor) -> Any:
        """What the decoupled network gives in eval mode.

        Args:
            *args: What the network takes, usually a batch of images (N, C, H, W).
        """
        return self._run(args, None, wanted=False)[0]

    def with_path(self, *args: Tensor, force: Force | None = None) -> tuple[Any, Path]:
        """Run the network and return its output with the path of every image.

        Args:
            *args: What the network takes, usually a batch of images (N, C, H, W).
            force: Gates to use instead of those decided: layer (number, name, glob) to a number,
                (filters,) or (N, filters); NaN entries stay decided by the gating module.

        Returns:
            (output, path); the path also carries `.logits`.

        Raises:
            PathLensError: If `force` names an unknown layer.
            ValueError: If forced gates do not fit their layer.
        """
        output, path = self._run(args, force, wanted=True)
        assert path is not None
        return output, path

    @torch.inference_mode()
    def _run(
        self, args: tuple[Tensor, ...], force: Force | None, *, wanted: bool
    ) -> tuple[Any, Path | None]:
        args = tuple(argument.to(self.device) for argument in args)
        plan = self.plan_for(args)
        forced = forced_gates(self.layers, force, len(args[0]), self.device)
        if plan is None or not _binary(forced):
            return self._network[0].with_path(*args, force=force, responses=False)
        mode = self.mode_for(len(args[0]))
        if mode == "each" and len(args[0]) > 1 and plan.trace.by_image:
            outputs, runs = self._one_by_one(plan, args, forced)
        else:
            outputs, run = plan.execute(args, forced, dense=mode == "dense")
            runs = [run]
        return assemble(plan.trace, outputs), path_of(
            self.layers, runs, self._processor
        ) if wanted else None

    def mode_for(self, images: int) -> Mode:
        """How a batch runs; that of the nearest size that was calibrated."""
        modes = self.modes
        return modes[min(modes, key=lambda size: abs(size - images))] if modes else "union"

    def _one_by_one(
        self, plan: Plan, args: tuple[Tensor, ...], forced: dict[int, Tensor]
    ) -> tuple[list[Tensor], list[Run]]:
        done = [
            plan.execute(
                tuple(argument[image : image + 1] for argument in args),
                {layer: gates[image : image + 1] for layer, gates in forced.items()},
            )
            for image in range(len(args[0]))
        ]
        outputs = [torch.cat(parts) for parts in zip(*(made for made, _ in done), strict=True)]
        return outputs, [run for _, run in done]

    @torch.inference_mode()
    def run_in_mode(
        self, args: tuple[Tensor, ...], mode: Mode, forced: dict[int, Tensor] | None = None
    ) -> list[Tensor]:
        """The outputs for a batch that is run in one way, whatever was calibrated.

        Args:
            args: What the network takes.
            mode: The way.
            forced: Gates that are given, (N, filters), by number of the layer from 0.

        Raises:
            PathLensError: If the network runs masked.
        """
        plan = self.plan_for(args)
        if plan is None:
            raise PathLensError("The network runs masked, so that it has no modes to choose from.")
        if mode == "each" and plan.trace.by_image:
            return self._one_by_one(plan, args, forced or {})[0]
        return plan.execute(args, forced or {}, dense=mode == "dense")[0]

    def calibrate(
        self,
        images: Tensor | tuple[Tensor, ...],
        *,
        force: Force | None = None,
        batch_sizes: Sequence[int] = (),
        turns: int = 5,
        seed: int = 0,
    ) -> Calibration | None:
        """Time the network on this machine, and from now on run what is fastest.

        A layer runs dense from the share of filters on at which skipping no longer pays; a batch runs
        image by image, with the filters that any of its images has on, or with all filters. Not while
        other threads run the network.

        Args:
            images: What the network takes: real images, as many as the largest batch. Where skipping
                pays hangs on their paths, so that several times as many are better.
            force: Gates to use instead of those decided, as `with_path` takes them.
            batch_sizes: Sizes of batch to time, beside 1; none for the size given.
            turns: Times that each variant runs; the shortest counts.
            seed: Of the filters that are drawn to time layers.

        Returns:
            What was found; None if the network runs masked.
        """
        arguments = images if isinstance(images, tuple) else (images,)
        arguments = tuple(argument.to(self.device) for argument in arguments)
        plan = self.plan_for(arguments)
        if plan is None:
            return None
        sizes = [*batch_sizes] or [len(arguments[0])]
        if max(sizes) > len(arguments[0]) or min(sizes) < 1:
            raise PathLensError(
                f"batch_sizes go up to {max(sizes)}, but {len(arguments[0])} images are given: give "
                "as many images as the largest batch."
            )
        with torch.inference_mode():
            forced = forced_gates(self.layers, force, len(arguments[0]), self.device)
            found = calibrate(self, plan, arguments, forced, sizes, turns, seed)
        self.modes = found.modes
        return found

    @torch.inference_mode()
    def static(self, path: Force, *example: Tensor) -> StaticNetwork:
        """Cut the network to one path: no gating, all weights gathered beforehand.

        Args:
            path: Gates of every layer, 0 or 1: layer (number, name, glob) to a number or (filters,).
            *example: What the network takes, one image of the size to cut for.

        Raises:
            PathLensError: If layers are missing, or the network cannot be planned.
        """
        args = tuple(argument[:1].to(self.device) for argument in example)
        plan = self.plan_for(args)
        forced = forced_gates(self.layers, path, 1, self.device)
        missing = [layer.name for layer in self.layers if layer.index - 1 not in forced]
        if missing or plan is None:
            reason = (
                f"gates of {', '.join(missing[:4])} are missing" if missing else "it runs masked"
            )
            raise PathLensError(f"The network cannot be cut to this path ({reason}).")
        return StaticNetwork(plan, plan.execute(args, forced, exact=True)[1])


def _binary(forced: dict[int, Tensor]) -> bool:
    """Whether all given gates are 0, 1 or NaN."""
    if not forced:
        return True
    given = torch.cat([gates.flatten() for gates in forced.values()])
    return bool(((given == 0) | (given == 1) | given.isnan()).all())
