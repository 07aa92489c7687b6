"""The noun *layer*: a gated convolution, and how a layer is picked by number, name or glob."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, overload

from pathlens.errors import PathLensError, unknown

LayerSpec = int | str
"""What every place that takes a layer takes: a number from 1, a dotted name, or a glob."""


@dataclass(frozen=True)
class Layer:
    """One gated convolution.

    Attributes:
        index: Number of the layer, from 1, in the order in which the network runs them.
        name: Dotted name of the convolution in the network.
        filters: Number of filters (output channels), each with one gate.
        in_channels: Number of input channels.
        output_size: (height, width) of the output for the example input, in pixels.
        macs: Multiply-adds of the convolution with everything on, for one image.
    """

    index: int
    name: str
    filters: int
    in_channels: int = 0
    output_size: tuple[int, int] = (0, 0)
    macs: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the manifest of a recording holds them."""
        return {**asdict(self), "output_size": list(self.output_size)}

    @staticmethod
    def from_json(entry: dict[str, Any]) -> Layer:
        """The inverse of `to_json`; unknown keys are ignored."""
        height, width = entry.get("output_size", (0, 0))
        return Layer(
            index=int(entry["index"]),
            name=str(entry["name"]),
            filters=int(entry["filters"]),
            in_channels=int(entry.get("in_channels", 0)),
            output_size=(int(height), int(width)),
            macs=int(entry.get("macs", 0)),
        )


class LayerTable(Sequence[Layer]):
    """All layers of a network, in running order; the one map that picks layers."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers = tuple(layers)
        self._by_name = {layer.name: layer for layer in self._layers}
        if len(self._by_name) != len(self._layers):
            raise ValueError("two layers have the same name")

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)

    @overload
    def __getitem__(self, position: int) -> Layer: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[Layer]: ...
    def __getitem__(self, position: int | slice) -> Layer | Sequence[Layer]:
        return self._layers[position]

    def __repr__(self) -> str:
        return f"LayerTable({len(self)} layers, {self.filters} filters)"

    @property
    def names(self) -> list[str]:
        """Dotted names, in running order."""
        return [layer.name for layer in self._layers]

    @property
    def filters(self) -> int:
        """Number of filters over all layers, which is the length of a path in bits."""
        return sum(layer.filters for layer in self._layers)

    def find(self, spec: LayerSpec) -> Layer:
        """The one layer that `spec` names.

        Raises:
            PathLensError: If it names no layer (the nearest are listed) or several.
        """
        found = self.select([spec])
        if len(found) > 1:
            raise PathLensError(
                f"'{spec}' names {len(found)} layers ({', '.join(x.name for x in found[:5])}, ...); "
                "name one."
            )
        return found[0]

    def select(self, specs: Iterable[LayerSpec] | None = None) -> list[Layer]:
        """The layers that any of `specs` names, each once, in running order; all for None.

        Raises:
            PathLensError: If a spec names no layer; the nearest names are listed.
        """
        if specs is None:
            return list(self._layers)
        chosen = {layer.index for spec in specs for layer in self._match(spec)}
        return [layer for layer in self._layers if layer.index in chosen]

    def _match(self, spec: LayerSpec) -> list[Layer]:
        text = str(spec)
        if text in self._by_name:
            return [self._by_name[text]]
        if text.lstrip("-").isdigit():
            found = [layer for layer in self._layers if layer.index == int(text)]
            if found:
                return found
            raise PathLensError(
                f"Unknown layer {text}: the layers are numbered from 1 to {len(self)}."
            )
        found = [layer for layer in self._layers if fnmatch.fnmatchcase(layer.name, text)]
        if not found:
            raise unknown("layer", text, self.names)
        return found
