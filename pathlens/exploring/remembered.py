"""A recording that remembers the layer it was last asked for, so that the next question is quick."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.source import Bits, PathData
from pathlens.layers import LayerSpec, LayerTable

_BY_LAYER = ("scores", "responses")


class Remembered:
    """Paths as another object has them; the values of one layer of each kind stay in memory."""

    def __init__(self, data: PathData) -> None:
        self._data = data
        self._kept: dict[str, tuple[str, Any]] = {}

    @property
    def layers(self) -> LayerTable:
        """All layers, in running order."""
        return self._data.layers

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; empty if unknown."""
        return self._data.classes

    @property
    def images(self) -> pd.DataFrame:
        """A row an image."""
        return self._data.images

    def bits(self, layer: LayerSpec) -> Bits:
        """Gates of one layer: bool (images, filters); read once as long as no other is asked for."""
        return np.asarray(self._once("bits", layer))

    def concepts(self) -> pd.DataFrame | None:
        """Columns image, concept, value; None if there are none."""
        return self._data.concepts()

    def __getattr__(self, name: str) -> Any:
        offered = getattr(self._data, name)
        return partial(self._once, name) if name in _BY_LAYER else offered

    def _once(self, kind: str, layer: LayerSpec) -> Any:
        name = self.layers.find(layer).name
        if self._kept.get(kind, ("",))[0] != name:
            self._kept[kind] = (name, getattr(self._data, kind)(name))
        return self._kept[kind][1]
