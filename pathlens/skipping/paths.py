"""Between paths as users see them and what runs hold."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pathlens.decoupling import Path
from pathlens.decoupling.passing import Force
from pathlens.layers import LayerTable
from pathlens.skipping.processor import Processor
from pathlens.skipping.run import Run


def forced_gates(
    layers: LayerTable, force: Force | None, images: int, device: torch.device
) -> dict[int, Tensor]:
    """Forced gates (images, filters) by number of the layer from 0, NaN where they are decided.

    Raises:
        PathLensError: If an unknown layer is named.
        ValueError: If gates do not fit their layer.
    """
    found = {}
    for spec, gates in (force or {}).items():
        for layer in layers.select([spec]):
            given = torch.as_tensor(gates).to(device, torch.float32)
            try:
                found[layer.index - 1] = given.expand(images, layer.filters)
            except RuntimeError as error:
                raise ValueError(
                    f"forced gates of layer {layer.name} have shape {tuple(given.shape)}; they must "
                    f"be a number, ({layer.filters},) or {(images, layer.filters)}"
                ) from error
    return found


def path_of(layers: LayerTable, runs: list[Run], processor: Processor) -> Path:
    """The path of one run of a batch, or of one run for each image."""
    path = Path(layers)
    for number, layer in enumerate(layers):
        path.put(layer.name, _rows([run.gates[number] for run in runs], processor))
        path.logits[layer.name] = _rows([run.logits[number] for run in runs], processor)
        if all(number in run.amplitudes for run in runs):
            path.amplitudes[layer.name] = torch.cat([run.amplitudes[number] for run in runs])
    return path


def _rows(parts: list[Any], processor: Processor) -> Tensor:
    """Gates or logits, (N, filters), of runs that hold (images, filters) each."""
    rows = [torch.as_tensor(part) for part in parts]
    return torch.cat(rows).to(processor.device, processor.dtype)
