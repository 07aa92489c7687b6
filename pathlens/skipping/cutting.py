"""`cut()`: a network cut down to some of its filters for good, as a plain module and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from pathlens.decoupling import DecoupledNetwork
from pathlens.decoupling.passing import Force
from pathlens.errors import PathLensError, first_line
from pathlens.skipping.exporting import ENDINGS, Saved, save
from pathlens.skipping.lowering import Lowered
from pathlens.skipping.network import skip
from pathlens.skipping.paths import forced_gates


@dataclass(frozen=True, eq=False)
class Cut:
    """A network cut down to one path, without gating and without PathLens.

    Attributes:
        module: The network: ordinary torch operators, BN folded, weights as parameters under the
            names that they had; takes what the network took, any number of images.
        program: The same as torch exports it.
        frame: A row a gated layer: `layer` (number), `name`, `filters`, `kept` (their number), `share`
            and `numbers` (those that are kept, a tuple, from 0).
        macs: Multiply-adds of the module for one image, counted while it runs.
        dense_macs: Those of the plain network.
    """

    module: nn.Module = field(repr=False)
    program: ExportedProgram = field(repr=False)
    frame: pd.DataFrame = field(repr=False)
    macs: int
    dense_macs: int

    def save(self, out: str | FilePath, images: Tensor | tuple[Tensor, ...]) -> Saved:
        """Write the network to a file that needs no PathLens, and check what the file gives.

        Args:
            out: A name that ends in .pt2 (`torch.export.load(...).module()`) or .onnx.
            images: What the network takes, at least two images to check with, real ones best.

        Raises:
            PathLensError: If the ending is another one, the packages for ONNX are missing, the file
                cannot be written, or what it gives is not what the module gives.
        """
        check_ending(out)
        return save(self.program, self.module, FilePath(out), arguments_of(images))


def check_ending(out: str | FilePath) -> None:
    """Make sure that a file of this name can be written, before any work is done.

    Raises:
        PathLensError: If its ending is unknown, or the packages that it needs are not installed.
    """
    ending = FilePath(out).suffix
    if ending not in ENDINGS:
        raise PathLensError(
            f"{out}: a cut network is written as {' or '.join(ENDINGS)}; give a name that ends so."
        )
    ENDINGS[ending].check()


def cut(network: DecoupledNetwork, path: Force, example_input: Tensor | tuple[Tensor, ...]) -> Cut:
    """Cut a network down to one path: filters that are off are gone, with what only they feed.

    For every image, its outputs are those of the decoupled network with this path forced, up to
    rounding. Constants that a later BN makes of silenced channels are kept, borders included.

    Args:
        network: A decoupled network whose gates are applied; left as it was.
        path: Gates of every layer, 0 or 1: layer (number, name, glob) to a number or (filters,).
        example_input: What the network takes, of the size of picture to cut for.

    Raises:
        PathLensError: If the path is not given for every layer or is not 0 and 1, a layer is left
            without filters, the gates also scale by image, or the network cannot be followed.
    """
    arguments = arguments_of(example_input)
    gates = _gates(network, path)
    with torch.no_grad():
        skipping = skip(network, arguments, cache_bytes=0, compiled=False)
        static = skipping.static(gates, *arguments)
        device = skipping.device
        program = _exported(Lowered(static, device), arguments, device)
        module = program.module()
        example = tuple(argument[:1].to(device) for argument in arguments)
        macs = _macs(module, example)
    return Cut(module, program, _frame(network, gates), macs, network.cost.dense)


def arguments_of(images: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What the network takes, as a tuple."""
    return images if isinstance(images, tuple) else (images,)


def relative_error(found: Any, expected: Any) -> float:
    """Largest difference of two outputs over the largest number of the second; over all tensors."""
    pairs = zip(tree_leaves(found), tree_leaves(expected), strict=True)
    errors = [
        float(
            (torch.as_tensor(a).cpu() - b.cpu()).abs().max() / b.abs().max().cpu().clamp_min(1e-30)
        )
        for a, b in pairs
        if isinstance(b, Tensor)
    ]
    return max(errors, default=0.0)


def _gates(network: DecoupledNetwork, path: Force) -> dict[int | str, Tensor]:
    """Gates (filters,) of every layer."""
    found = forced_gates(network.layers, path, 1, torch.device("cpu"))
    empty = []
    for number, layer in enumerate(network.layers):
        gates = found.get(number)
        if gates is None or not bool(((gates == 0) | (gates == 1)).all()):
            raise PathLensError(
                f"The network cannot be cut: the path says nothing of layer {layer.name}, or not 0 or "
                "1 for every filter; give all of its gates."
            )
        if not gates.any():
            empty.append(layer.name)
        if network.gating_module(layer.index).amplitudes(torch.zeros(1, layer.filters)) is not None:
            raise PathLensError(
                "The gating modules of this network scale the filters image by image (top-k with "
                "boost), so that no static cut gives its outputs: train with other gates."
            )
    if empty:
        raise PathLensError(
            f"No filter of layer {', '.join(empty[:3])}{', ...' if len(empty) > 3 else ''} is left: "
            "keep more, with a lower threshold or more classes."
        )
    return {layer.name: found[layer.index - 1][0] for layer in network.layers}


def _frame(network: DecoupledNetwork, gates: dict[int | str, Tensor]) -> pd.DataFrame:
    rows = []
    for layer in network.layers:
        numbers = tuple(np.flatnonzero(gates[layer.name].numpy()).tolist())
        share = len(numbers) / layer.filters
        rows.append((layer.index, layer.name, layer.filters, len(numbers), share, numbers))
    return pd.DataFrame(rows, columns=["layer", "name", "filters", "kept", "share", "numbers"])


def _exported(
    module: nn.Module, arguments: tuple[Tensor, ...], device: torch.device
) -> ExportedProgram:
    """The module as torch exports it, for any number of images."""
    batch = Dim("batch", min=1)
    # Zeros, because the file keeps its example; two, because torch takes one for a constant.
    example = tuple(
        argument.new_zeros(2, *argument.shape[1:], device=device) for argument in arguments
    )
    try:
        program = export(module.eval(), example, dynamic_shapes=(({0: batch},) * len(example),))
    except Exception as error:  # whatever an operator of the user's network raises
        raise PathLensError(
            f"The cut network cannot be exported for any number of images ({first_line(error)}): it "
            "can still run with skip() and its method static()."
        ) from error
    for node in program.graph.nodes:  # names and paths of files on this machine
        node.meta.pop("stack_trace", None)
        node.meta["nn_module_stack"] = {}
    return program


def _macs(module: nn.Module, arguments: Sequence[Tensor]) -> int:
    with FlopCounterMode(display=False) as counter:
        module(*arguments)
    return int(counter.get_total_flops()) // 2
