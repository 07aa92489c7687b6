"""Log-likelihood of a path under a tree of pairwise dependences in the predicted class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays, class_count, class_rows
from pathlens.detection.detectors.by_parts import FittedByParts, fit_by_parts, restored
from pathlens.detection.detectors.class_tables import (
    class_rates,
    class_sums,
    layer_starts,
    slices,
    sums_by_layer,
)
from pathlens.detection.detectors.tree import chow_liu_parents
from pathlens.layers import LayerSpec, LayerTable

_MOST_ACROSS = 4096
"""Filters up to which one tree spans all layers; beyond, each layer has its own."""


@dataclass(frozen=True, eq=False)
class TreeByClass:
    """part(l) = offset[c, l] + sum over f of layer l of a z_f + b z_parent(f) + d z_f z_parent(f).

    a, b and d are those of the predicted class c and of f.

    Attributes:
        layers: The layers.
        parents: int64 (filters,), the filter that each depends on; a root has itself.
        own: a, float32 (classes + 1, filters).
        above: b, the same.
        both: d, the same.
        offsets: float64 (classes + 1, layers).
    """

    layers: LayerTable
    parents: Ints = field(repr=False)
    own: npt.NDArray[np.float32] = field(repr=False)
    above: npt.NDArray[np.float32] = field(repr=False)
    both: npt.NDArray[np.float32] = field(repr=False)
    offsets: Floats = field(repr=False)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.own) - 1

    def parts(self, data: DetectionData) -> Floats:
        """float64 (images, layers)."""
        rows = class_rows(data.predictions, self.classes)
        bits = data.path(self.layers.names)

        def costs(block: slice) -> npt.NDArray[np.float32]:
            chosen, child = rows[block], bits[block]
            parent = child[:, self.parents]
            found = self.own[chosen] * child
            found += self.above[chosen] * parent
            found += self.both[chosen] * (child & parent)
            return np.asarray(found)

        sums = sums_by_layer(costs, len(data), layer_starts(self.layers))
        return np.asarray(sums + self.offsets[rows])

    def to_arrays(self) -> Arrays:
        """The tree and its tables."""
        tables = {"own": self.own, "above": self.above, "both": self.both}
        return {"parents": self.parents, **tables, "offsets": self.offsets}


@dataclass(frozen=True)
class Pairwise:
    """- sum over f of log P(z_f | z_parent(f), c): naive Bayes with a tree (Friedman et al. 1997).

    One tree for all classes, from correlations within classes; tables by class, smoothed as the rates
    of `Likelihood` are.

    Attributes:
        layers: Layers by number, name or glob; all for None.
        prior: Images of the overall tables that are added to each class.
    """

    layers: tuple[LayerSpec, ...] | None = None
    prior: float = 5.0
    name: str = "pairwise"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedByParts:
        """Tree, and tables by predicted class; `attacked` is not looked at.

        Raises:
            PathLensError: If there are fewer than 2 images, or no predictions.
        """
        return fit_by_parts(self.fit_model, clean)

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedByParts:
        """The inverse of `to_arrays`."""
        tables = (arrays[name] for name in ("parents", "own", "above", "both", "offsets"))
        return restored(TreeByClass(layers, *tables), arrays)

    def fit_model(self, clean: DetectionData) -> TreeByClass:
        """What clean paths look like by predicted class, before calibration."""
        layers = LayerTable(clean.layers.select(self.layers))
        bits, predicted = clean.path(layers.names), clean.predictions
        classes = class_count(clean)
        rates = class_rates(bits, predicted, classes, self.prior)
        rest = (bits - rates[predicted]).astype(np.float32)
        whole = layers.filters <= _MOST_ACROSS
        parents = chow_liu_parents(rest, [slice(0, layers.filters)] if whole else slices(layers))
        above = bits[:, parents]
        given_on = self._rates(bits & above, above, predicted, classes)
        given_off = self._rates(bits & ~above, ~above, predicted, classes)
        roots = parents == np.arange(len(parents))
        given_on[:, roots] = given_off[:, roots] = rates[:, roots]
        return _from_rates(layers, parents, given_on, given_off)

    def _rates(self, both: Bits, condition: Bits, predicted: Ints, classes: int) -> Floats:
        """Rates by class given a condition, (classes + 1, filters)."""
        on, _ = class_sums(both, predicted, classes)
        all_, _ = class_sums(condition, predicted, classes)
        overall = (on.sum(axis=0) + 1) / (all_.sum(axis=0) + 2)
        return np.vstack([(on + self.prior * overall) / (all_ + self.prior), overall])


def _from_rates(
    layers: LayerTable, parents: Ints, given_on: Floats, given_off: Floats
) -> TreeByClass:
    """Costs as a polynomial in both gates, from rates given that the parent is on, and off."""
    on_on, off_on = -np.log(given_on), -np.log1p(-given_on)
    on_off, off_off = -np.log(given_off), -np.log1p(-given_off)
    both = on_on - on_off - off_on + off_off
    own, above, both = (
        table.astype(np.float32) for table in (on_off - off_off, off_on - off_off, both)
    )
    offsets = np.add.reduceat(off_off, layer_starts(layers), axis=1)
    return TreeByClass(layers, parents, own, above, both, offsets)
