"""Models of clean paths in torch: their parts, before calibration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pathlens.detection.detectors.by_parts import PartsModel
from pathlens.detection.detectors.class_tables import layer_starts, slices
from pathlens.detection.detectors.consistency import TwoHalves
from pathlens.detection.detectors.discriminant import Discriminant
from pathlens.detection.detectors.linear_by_class import LinearByClass
from pathlens.detection.detectors.neighbours import KnownPaths
from pathlens.detection.detectors.pairwise import TreeByClass
from pathlens.detection.detectors.soft_likelihood import DiagonalNormal
from pathlens.detection.detectors.votes import Ballots
from pathlens.detection.detectors.whitened import Whitened
from pathlens.detection.differentiable.batch import Batch, Function
from pathlens.layers import LayerTable


class Models:
    """Makes functions of a batch from fitted arrays, which it puts on a device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._kinds: dict[type, Callable[[Any], Function]] = {
            LinearByClass: self._linear,
            TreeByClass: self._tree,
            DiagonalNormal: self._diagonal,
            Whitened: self._whitened,
            Ballots: self._ballots,
            TwoHalves: self.halves,
            KnownPaths: self._neighbours,
        }

    def parts(self, model: PartsModel) -> Function:
        """The parts (N, parts) of a model."""
        return self._kinds[type(model)](model)

    def tensor(self, values: npt.NDArray[Any]) -> Tensor:
        """Values in float32 on the device."""
        return torch.as_tensor(np.asarray(values, dtype=np.float32), device=self._device)

    def _linear(self, model: LinearByClass) -> Function:
        weights, offsets = self.tensor(model.weights), self.tensor(model.offsets)
        add = self._layer_sums(model.layers)

        def parts(batch: Batch) -> Tensor:
            rows = batch.rows(model.classes)
            return add(batch.values(model.layers, "bits") * weights[rows]) + offsets[rows]

        return parts

    def _tree(self, model: TreeByClass) -> Function:
        tables = (model.own, model.above, model.both, model.offsets)
        own, above, both, offsets = (self.tensor(table) for table in tables)
        parents = torch.as_tensor(model.parents, device=self._device)
        add = self._layer_sums(model.layers)

        def parts(batch: Batch) -> Tensor:
            rows = batch.rows(model.classes)
            child = batch.values(model.layers, "bits")
            parent = child[:, parents]
            costs = own[rows] * child + above[rows] * parent + both[rows] * child * parent
            return add(costs) + offsets[rows]

        return parts

    def _diagonal(self, model: DiagonalNormal) -> Function:
        tables = (model.means, model.roots, model.offsets)
        means, roots, offsets = (self.tensor(table) for table in tables)
        add = self._layer_sums(model.layers)

        def parts(batch: Batch) -> Tensor:
            rows = batch.rows(model.classes)
            rest = batch.values(model.layers, "scores") - means[rows]
            return add((rest * roots[rows]).square()) + offsets[rows]

        return parts

    def _whitened(self, model: Whitened) -> Function:
        means = self.tensor(model.means)
        whiteners = [self.tensor(whitener) for whitener in model.whiteners]

        def parts(batch: Batch) -> Tensor:
            values = batch.values(model.layers, model.values)
            rest = values - means[batch.rows(model.classes)]
            squares = []
            for place, whitener in zip(slices(model.layers), whiteners, strict=True):
                reach = slice(place.stop - whitener.shape[1], place.stop)
                squares.append((rest[:, reach] @ whitener.T).square().sum(dim=1))
            return torch.stack(squares, dim=1)

        return parts

    def _ballots(self, model: Ballots) -> Function:
        return self._margins(model.voters, -1.0)

    def halves(self, model: TwoHalves) -> Function:
        """Margins of the predicted class in early and late layers, (N, 2)."""
        return self._margins((model.early, model.late), 1.0)

    def _margins(self, found: tuple[Discriminant, ...], sign: float) -> Function:
        """Margins of the predicted class, one column a discriminant."""
        tables = [(self.tensor(x.weights), self.tensor(x.offsets)) for x in found]

        def margins(batch: Batch) -> Tensor:
            columns = []
            for one, (weights, offsets) in zip(found, tables, strict=True):
                values = batch.values(one.layers, one.values)
                columns.append(sign * _margin(values @ weights + offsets, batch))
            return torch.stack(columns, dim=1)

        return margins

    def _neighbours(self, model: KnownPaths) -> Function:
        known, scales = self.tensor(model.known), self.tensor(model.scales)
        starts = model.starts.tolist()

        def nearest(value: Tensor, row: int) -> Tensor:
            start, stop = starts[row], (*starts, len(known))[row + 1]
            if stop == start:
                start, stop = starts[-1], len(known)
            squares = ((value - known[start:stop]) / scales).square().sum(dim=1)
            return squares.topk(min(model.nearest, stop - start), largest=False).values.mean()

        def parts(batch: Batch) -> Tensor:
            values = batch.values(model.layers, model.values)
            rows = batch.rows(model.classes).tolist()
            return torch.stack([nearest(x, row) for x, row in zip(values, rows, strict=True)])[
                :, None
            ]

        return parts

    def _layer_sums(self, layers: LayerTable) -> Callable[[Tensor], Tensor]:
        """Adds up columns within each layer: (N, filters) to (N, layers)."""
        member = np.zeros((layers.filters, len(layers)))
        starts = layer_starts(layers)
        for position, (start, layer) in enumerate(zip(starts, layers, strict=True)):
            member[start : start + layer.filters, position] = 1
        which = self.tensor(member)
        return lambda terms: terms @ which


def _margin(evidence: Tensor, batch: Batch) -> Tensor:
    """As `discriminant.margin`, from evidence up to a constant an image."""
    rows = batch.rows(evidence.shape[1])[:, None]
    padded = torch.cat([evidence, evidence.amin(dim=1, keepdim=True)], dim=1)
    others = padded.scatter(1, rows, -torch.inf)
    return padded.gather(1, rows)[:, 0] - others.amax(dim=1)
