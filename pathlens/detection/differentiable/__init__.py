"""Scores of fitted detectors in torch, differentiable in the gates: for attacks on detector and network.

The one folder of this room that needs torch; nothing of the room imports it until it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pathlens.detection.data import lacking
from pathlens.detection.detectors.base import Fitted
from pathlens.detection.detectors.by_parts import Calibration, FittedByParts
from pathlens.detection.detectors.combined import FittedCombined
from pathlens.detection.detectors.consistency import FittedConsistency
from pathlens.detection.detectors.energy import FittedEnergy
from pathlens.detection.detectors.inputs import Inputs
from pathlens.detection.detectors.logistic import FittedLogistic
from pathlens.detection.detectors.mahalanobis import FittedMahalanobis
from pathlens.detection.detectors.softmax import FittedSoftmax
from pathlens.detection.detectors.typicality import FittedTypicality
from pathlens.detection.differentiable.batch import Batch, Function, SeenPath
from pathlens.detection.differentiable.models import Models
from pathlens.errors import PathLensError

__all__ = ["SeenPath", "TorchScore", "torch_score"]


class TorchScore(Protocol):
    """A fitted detector in torch."""

    def __call__(self, path: SeenPath, logits: Tensor, features: Tensor | None = None) -> Tensor:
        """Scores (N,) of a batch.

        Args:
            path: Its paths; soft gates are taken as they are.
            logits: Its class scores (N, classes). The predicted class has no gradient.
            features: Its penultimate features (N, features), for the detector `mahalanobis`.
        """
        ...


def torch_score(fitted: Fitted, network: torch.nn.Module) -> TorchScore:
    """A fitted detector's score as a differentiable function of a pass through the network.

    On hard gates it equals `fitted.score`, up to rounding in float32.

    Args:
        fitted: Any but trees and a combination by surprise, which have no gradient.
        network: The network that is passed through; the score is computed where its weights are.

    Raises:
        PathLensError: If the detector has no differentiable score.
    """
    example = next(network.parameters(), torch.zeros(0))
    function = _Builder(example.device).whole(fitted)

    def score(path: SeenPath, logits: Tensor, features: Tensor | None = None) -> Tensor:
        return function(Batch(path, logits, features, logits.detach().argmax(dim=1)))

    return score


class _Builder:
    """Makes the scores of fitted detectors."""

    def __init__(self, device: torch.device) -> None:
        self._models = Models(device)
        self._kinds: dict[type, Callable[[Any], Function]] = {
            FittedByParts: self._by_parts,
            FittedTypicality: self._typicality,
            FittedConsistency: self._consistency,
            FittedLogistic: self._logistic,
            FittedCombined: self._combined,
            FittedSoftmax: lambda _: _softmax,
            FittedEnergy: lambda _: lambda batch: -batch.logits.logsumexp(dim=1),
            FittedMahalanobis: self._mahalanobis,
        }

    def whole(self, fitted: Fitted) -> Function:
        """The score (N,) of a fitted detector."""
        if type(fitted) not in self._kinds:
            raise PathLensError(
                f"{type(fitted).__name__} has no gradient: attack this detector by transfer from "
                "another one, or by a search that needs scores alone."
            )
        return self._kinds[type(fitted)](fitted)

    def _parts(self, fitted: FittedByParts) -> Function:
        """Calibrated parts, (N, parts)."""
        model = self._models.parts(fitted.model)
        calibrated = self._calibration(fitted.calibration)
        return lambda batch: calibrated(model(batch), batch.rows(fitted.model.classes))

    def _calibration(self, found: Calibration) -> Callable[[Tensor, Tensor], Tensor]:
        centres, scales = self._models.tensor(found.centres), self._models.tensor(found.scales)
        return lambda parts, rows: (parts - centres[rows]) / scales[rows, None]

    def _by_parts(self, fitted: FittedByParts) -> Function:
        parts = self._parts(fitted)
        return lambda batch: parts(batch).sum(dim=1)

    def _typicality(self, fitted: FittedTypicality) -> Function:
        parts, whitener = self._parts(fitted.parts), self._models.tensor(fitted.whitener)
        return lambda batch: (parts(batch) @ whitener.T).square().sum(dim=1)

    def _consistency(self, fitted: FittedConsistency) -> Function:
        halves, slope = self._models.halves(fitted.halves), fitted.slope
        centres, scales = self._models.tensor(fitted.centres), self._models.tensor(fitted.scales)

        def score(batch: Batch) -> Tensor:
            early, late = halves(batch).unbind(dim=1)
            signs = torch.stack([-early, late - slope * early], dim=1)
            rows = batch.rows(fitted.halves.classes)
            return ((signs - centres[rows]) / scales).amax(dim=1)

        return score

    def _logistic(self, fitted: FittedLogistic) -> Function:
        table, weights = self._inputs(fitted.inputs), self._models.tensor(fitted.weights)
        return lambda batch: table(batch) @ weights + fitted.offset

    def _inputs(self, inputs: Inputs) -> Function:
        distance, votes = self._parts(inputs.distance), self._parts(inputs.votes)
        centres, scales = self._models.tensor(inputs.centres), self._models.tensor(inputs.scales)

        def table(batch: Batch) -> Tensor:
            values = batch.values(inputs.layers, inputs.values)
            raw = torch.cat([values, distance(batch), votes(batch)], dim=1)
            return (raw - centres) / scales

        return table

    def _combined(self, fitted: FittedCombined) -> Function:
        if fitted.rule != "sum":
            raise PathLensError(
                "A combination by surprise has no gradient: attack one whose rule is 'sum'."
            )
        members = [self.whole(member) for member in fitted.members]
        spread = fitted.clean.std(axis=1)
        scales, means = np.where(spread > 0, spread, 1.0), fitted.clean.mean(axis=1)

        def score(batch: Batch) -> Tensor:
            each = zip(members, means, scales, strict=True)
            return torch.stack([(x(batch) - float(a)) / float(b) for x, a, b in each]).sum(dim=0)

        return score

    def _mahalanobis(self, fitted: FittedMahalanobis) -> Function:
        means, whitener = self._models.tensor(fitted.means), self._models.tensor(fitted.whitener)

        def score(batch: Batch) -> Tensor:
            if batch.features is None:
                raise lacking("features")
            if fitted.to == "predicted":
                rest = batch.features - means[batch.rows(len(means) - 1)]
                return (rest @ whitener.T).square().sum(dim=1)
            rest = batch.features[:, None, :] - means[None, :-1]
            return (rest @ whitener.T).square().sum(dim=2).amin(dim=1)

        return score


def _softmax(batch: Batch) -> Tensor:
    """1 - the largest probability, without the rounding of that difference."""
    top = batch.logits.argmax(dim=1, keepdim=True)
    return batch.logits.softmax(dim=1).scatter(1, top, 0.0).sum(dim=1)
