"""Response maps: where in the picture a filter responds, after its gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from pathlens.decoupling.layout import GatedConv, lay_out
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.decoupling.observe import observe
from pathlens.layers import LayerSpec

Filter = tuple[str, int]
"""One filter: name of its layer, and its number in the layer, from 0."""

Maps = npt.NDArray[np.float32]


@torch.no_grad()
def response_maps(
    network: DecoupledNetwork,
    x: Tensor,
    filters: Mapping[LayerSpec, Sequence[int]],
    *,
    size: tuple[int, int] | None = None,
) -> dict[Filter, Maps]:
    """What some filters give to the next layer, place by place, under hard gates.

    The output of the convolution after its norm, its gate and the activation that follows directly;
    a filter whose output is added to a shortcut first has signed values. A filter that is off is 0
    everywhere. A place is not what the filter has seen: its receptive field is larger, in late layers
    often the whole picture.

    Args:
        network: In eval mode.
        x: Normalised images (N, 3, H, W), on the network's device.
        filters: Layer (number, name or glob) to numbers of filters.
        size: (height, width) in pixels to enlarge the maps to, bilinear; None leaves them as they
            are.

    Returns:
        (layer name, filter) to float32 (N, height, width).

    Raises:
        PathLensError: If a layer is unknown.
        IndexError: If a layer has no such filter.
    """
    wanted: dict[str, list[int]] = {}
    for spec, numbers in filters.items():
        for layer in network.layers.select([spec]):
            wanted.setdefault(layer.name, []).extend(numbers)
    outputs: dict[str, Tensor] = {}
    with _watched(network, x, set(wanted), outputs.__setitem__):
        network.with_path(x, gates="hard", responses=False)
    return {
        (name, number): _sized(outputs[name][:, number], size)
        for name, numbers in wanted.items()
        for number in numbers
    }


@contextmanager
def _watched(
    network: DecoupledNetwork, x: Tensor, names: set[str], keep: Callable[[str, Tensor], Any]
) -> Iterator[None]:
    """Hand the gated outputs (N, filters, height, width) of some layers to `keep` as they run."""
    model = network.model
    layout = lay_out(model, observe(model, x[:1]), lambda name, _: name in names, projections=True)
    with ExitStack() as stack:
        for conv in layout.gated:
            # The gate's own hook on this module came first, so that this one sees what it has made.
            handle = model.get_submodule(conv.site).register_forward_hook(_Keep(conv, keep))
            stack.callback(handle.remove)
        yield


class _Keep:
    """A forward hook on the module whose output the gate multiplies."""

    def __init__(self, conv: GatedConv, keep: Callable[[str, Tensor], Any]) -> None:
        self.conv = conv
        self.keep = keep

    def __call__(self, module: Any, args: Any, output: Tensor) -> None:
        # A copy: an activation in place would change what was kept.
        gated = output.detach().clone()
        if self.conv.activation:
            operator: Callable[..., Tensor] = getattr(torch.ops.aten, self.conv.activation)
            gated = operator(gated, *self.conv.activation_args)
        self.keep(self.conv.layer.name, gated.movedim(self.conv.dim, 1))


def _sized(maps: Tensor, size: tuple[int, int] | None) -> Maps:
    """Maps (N, height, width) as numpy, enlarged if asked for."""
    if size is not None:
        maps = F.interpolate(maps[:, None].float(), size, mode="bilinear", align_corners=False)[
            :, 0
        ]
    return maps.float().cpu().numpy()
