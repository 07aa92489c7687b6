"""What is chosen and what is to be shown for it; whoever draws it is another matter."""

from __future__ import annotations

from functools import lru_cache

import pandas as pd

from pathlens.analysis.source import PathData, choose_layers, require_images
from pathlens.analysis.states.filter_images import FilterImages, filter_images
from pathlens.analysis.states.filter_states import filter_states
from pathlens.errors import PathLensError, unknown
from pathlens.exploring.image_path import ImagePath, image_path
from pathlens.exploring.layer_facts import LayerFacts, layer_facts
from pathlens.exploring.remembered import Remembered
from pathlens.layers import LayerSpec

SPREAD, RATE, NUMBER = "spread over classes", "on-rate", "number"

_LAYERS_KEPT = 64
_FILTERS_KEPT = 32


class Explorer:
    """A recording with one layer and filter chosen, and perhaps an image.

    Whatever is chosen, the rest follows: another layer brings its first filter; an image stays
    chosen while layers and filters change, so that its path can be followed.

    Attributes:
        by_layer: A row a layer, as `FilterStates.by_layer` documents it.
        orders: The orders that filters can be listed in.
        order: The one they are listed in.
        facts: What is known of the filters of the chosen layer.
        filter: Number of the chosen filter.
        image: Position of the chosen image; None for none.
        on_path: Whether only filters that the chosen image has on are listed.
    """

    def __init__(self, data: PathData, layer: LayerSpec | None = None, images: int = 6) -> None:
        """Choose a layer (the last if None) and its first filter; `images` are shown a side."""
        require_images(data)
        if images < 1:
            raise PathLensError(f"images is {images}: show at least 1 image a side.")
        chosen = choose_layers(data, None)[-1] if layer is None else data.layers.find(layer)
        self._data = Remembered(data)
        self._facts = lru_cache(maxsize=_LAYERS_KEPT)(
            lambda index: layer_facts(self._data, self._data.layers.find(index))
        )
        self._pictures = lru_cache(maxsize=_FILTERS_KEPT)(
            lambda index, filter: filter_images(self._data, index, filter, count=images)
        )
        self.by_layer: pd.DataFrame = filter_states(data).by_layer
        self.image: int | None = None
        self.on_path = False
        self.facts: LayerFacts = self._facts(chosen.index)
        self.orders = (SPREAD, RATE, NUMBER) if self.facts.classes else (RATE, NUMBER)
        self.order = self.orders[0]
        self.filter = int(self.listed["filter"].iloc[0])

    @property
    def images(self) -> int:
        """Number of images of the recording."""
        return len(self._data.images)

    @property
    def listed(self) -> pd.DataFrame:
        """The filters to choose from, in their order: rows of `facts.frame`."""
        frame = self.facts.frame
        if self.on_path and self.image is not None:
            frame = frame[self._data.bits(self.facts.layer.name)[self.image]]
        if self.order == NUMBER:
            return frame
        column = "spread" if self.order == SPREAD else "rate"
        return frame.sort_values(column, ascending=False, kind="stable")

    @property
    def pictures(self) -> FilterImages:
        """Top and bottom images of the chosen filter."""
        return self._pictures(self.facts.layer.index, self.filter)

    @property
    def path(self) -> ImagePath | None:
        """The chosen image's gates in the chosen layer; None where none is chosen."""
        return None if self.image is None else image_path(self._data, self.facts, self.image)

    def choose_layer(self, layer: LayerSpec) -> None:
        """Choose a layer by number, name or glob, and the first of its listed filters.

        Raises:
            PathLensError: If there is no such layer.
        """
        self.facts = self._facts(self._data.layers.find(layer).index)
        self.filter = 0
        self._choose_listed()

    def choose_filter(self, filter: int) -> None:
        """Choose a filter of the layer by its number.

        Raises:
            PathLensError: If the layer has no such filter.
        """
        layer = self.facts.layer
        if not 0 <= filter < layer.filters:
            raise PathLensError(
                f"Layer {layer.index} ({layer.name}) has no filter {filter}: its filters are "
                f"numbered from 0 to {layer.filters - 1}."
            )
        self.filter = filter

    def choose_order(self, order: str) -> None:
        """Choose in which order filters are listed: one of `orders`.

        Raises:
            PathLensError: If there is no such order.
        """
        if order not in self.orders:
            raise unknown("order", order, self.orders)
        self.order = order

    def choose_image(self, position: int | None) -> None:
        """Choose an image by its row in the recording; None for none.

        Raises:
            PathLensError: If there is no such row.
        """
        if position is not None and not 0 <= position < self.images:
            raise PathLensError(
                f"There is no image at position {position}: the recording has {self.images:,}, "
                "counted from 0."
            )
        self.image = position
        self._stay_listed()

    def keep_to_path(self, on_path: bool) -> None:
        """Choose whether only filters on the chosen image's path are listed."""
        self.on_path = on_path
        self._stay_listed()

    def _stay_listed(self) -> None:
        if self.filter not in set(self.listed["filter"]):
            self._choose_listed()

    def _choose_listed(self) -> None:
        listed = self.listed["filter"]
        if len(listed):  # a path may have nothing on in a layer
            self.filter = int(listed.iloc[0])
