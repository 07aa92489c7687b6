"""What supervised detectors learn from: a path, and how far it strays in each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats, Ints
from pathlens.detection.data import DetectionData, require_layers
from pathlens.detection.detectors.base import Arrays, require_attacked
from pathlens.detection.detectors.by_parts import FittedByParts, PartsDetector, fit_with_parts
from pathlens.detection.detectors.likelihood import Likelihood
from pathlens.detection.detectors.soft_likelihood import SoftLikelihood
from pathlens.detection.detectors.values import Values, values_of
from pathlens.detection.detectors.votes import Votes
from pathlens.layers import LayerSpec, LayerTable

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Inputs:
    """Gates or scores, then by layer distance to the predicted class and its votes.

    Attributes:
        layers: The layers.
        values: Whether gates or scores come first.
        distance: Parts of the likelihood.
        votes: Parts of the votes.
        centres: float32 (inputs,), what is subtracted.
        scales: float32 (inputs,), what the rest is divided by.
    """

    layers: LayerTable
    values: Values
    distance: FittedByParts = field(repr=False)
    votes: FittedByParts = field(repr=False)
    centres: Singles = field(repr=False)
    scales: Singles = field(repr=False)

    def table(self, data: DetectionData) -> Singles:
        """float32 (images, filters + 2 · layers), standardised."""
        require_layers(data, self.layers)
        raw = _stacked(data, self, self.distance.parts(data), self.votes.parts(data))
        return np.asarray((raw - self.centres) / self.scales, dtype=np.float32)

    def to_arrays(self) -> Arrays:
        """All arrays, with prefixes."""
        distance = {f"distance.{key}": x for key, x in self.distance.to_arrays().items()}
        votes = {f"votes.{key}": x for key, x in self.votes.to_arrays().items()}
        return {**distance, **votes, "input.centres": self.centres, "input.scales": self.scales}


@dataclass(frozen=True)
class Examples:
    """What a classifier is fitted to.

    Attributes:
        inputs: Makes inputs of images.
        table: float32 (images, inputs), clean ones first.
        attacked: int64 (images,), 1 for attacked.
    """

    inputs: Inputs
    table: Singles = field(repr=False)
    attacked: Ints = field(repr=False)


def learn_inputs(
    name: str,
    layers: tuple[LayerSpec, ...] | None,
    values: Values,
    clean: DetectionData,
    attacked: DetectionData | None,
) -> Examples:
    """Fit what the inputs need on clean images, and make the inputs of all.

    Clean and attacked images get their distances from the same models, fitted without them and without
    what they were made of: else a classifier would learn to tell who was fitted on.

    Raises:
        PathLensError: If there are fewer than 2 clean or attacked images, or no scores to look at.
    """
    given = require_attacked(name, attacked)
    detectors = _detectors(layers, values)
    (distance, distances), (votes, ballots) = (
        fit_with_parts(detector.fit_model, clean, given) for detector in detectors
    )
    nothing = np.zeros(0, dtype=np.float32)
    inputs = Inputs(distance.layers, values, distance, votes, nothing, nothing)
    require_layers(given, inputs.layers)
    own, others = (
        _stacked(images, inputs, strayed, cast)
        for images, strayed, cast in zip((clean, given), distances, ballots, strict=True)
    )
    raw = np.concatenate([own, others])
    scales = raw.std(axis=0)
    inputs = Inputs(
        inputs.layers, values, distance, votes, raw.mean(axis=0), np.where(scales > 1e-6, scales, 1)
    )
    table = ((raw - inputs.centres) / inputs.scales).astype(np.float32)
    return Examples(inputs, table, np.repeat([0, 1], [len(own), len(others)]))


def inputs_from(
    layers: LayerTable, values: Values, arrays: Mapping[str, npt.NDArray[Any]]
) -> Inputs:
    """The inverse of `Inputs.to_arrays`."""
    distance, votes = (
        detector.from_arrays(layers, _below(prefix, arrays))
        for detector, prefix in zip(_detectors(None, values), ("distance.", "votes."), strict=True)
    )
    return Inputs(layers, values, distance, votes, arrays["input.centres"], arrays["input.scales"])


def _detectors(
    layers: tuple[LayerSpec, ...] | None, values: Values
) -> tuple[PartsDetector, PartsDetector]:
    distance = Likelihood(layers) if values == "bits" else SoftLikelihood(layers)
    return distance, Votes(layers, values)


def _below(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    return {k.removeprefix(prefix): x for k, x in arrays.items() if k.startswith(prefix)}


def _stacked(data: DetectionData, inputs: Inputs, distance: Floats, votes: Floats) -> Singles:
    values = values_of(data, inputs.layers, inputs.values)
    return np.concatenate([values, distance, votes], axis=1, dtype=np.float32)
