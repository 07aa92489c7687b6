"""Sections that ask one question of every layer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pathlens.reporting.sections.base import Context, Gap, Named, PageImages, Section, layer_label

if TYPE_CHECKING:
    from pathlens.layers import Layer

ByLayer = dict[int, Any]
"""The result (or `Gap`) of each layer, by the layer's number, in running order."""


class LayerSection(Section[ByLayer]):
    """A section with one result a layer.

    Attributes:
        one: What sentences call the result of one layer.
        file: What files call it.
    """

    one: ClassVar[str]
    file: ClassVar[str]

    def steps(self, layers: int) -> int:
        """One a layer."""
        return layers

    def find(self, context: Context) -> ByLayer:
        """Look at one layer after the other."""
        found = {}
        for layer in context.layers:
            context.step(f"{self.one}, layer {layer.index}")
            found[layer.index] = self.look(context, layer)
        return found

    def results(self, found: ByLayer) -> Iterator[Named]:
        """The layers' results."""
        for index, result in found.items():
            yield Named(f"{self.one}, layer {index}", f"{self.file}_{layer_label(index)}", result)

    def data(self, found: ByLayer, page: PageImages) -> list[dict[str, Any]]:
        """A list with an entry a layer."""
        return [
            {"gap": result.reason} if isinstance(result, Gap) else self.drawn(result, page)
            for result in found.values()
        ]

    @abstractmethod
    def look(self, context: Context, layer: Layer) -> Any:
        """The result of one layer, or a `Gap`."""

    @abstractmethod
    def drawn(self, result: Any, page: PageImages) -> dict[str, Any]:
        """What the script draws of one layer's result."""
