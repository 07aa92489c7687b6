"""Which class each layer's part of the path speaks for: linear discriminants, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats, Ints
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays, class_count, class_rows
from pathlens.detection.detectors.class_tables import class_means, row_blocks
from pathlens.detection.detectors.values import Values, covariance, values_of
from pathlens.layers import Layer, LayerTable


@dataclass(frozen=True, eq=False)
class Discriminant:
    """log P(class | values of some layers), for normal distributions with one covariance (LDA).

    Fisher's linear discriminant with equal class priors; the covariance is shrunk as Ledoit & Wolf
    (2004) do.

    Attributes:
        layers: The layers it looks at, together.
        values: Whether it looks at gates or scores.
        weights: float32 (filters, classes).
        offsets: float32 (classes,).
    """

    layers: LayerTable
    values: Values
    weights: npt.NDArray[np.float32] = field(repr=False)
    offsets: npt.NDArray[np.float32] = field(repr=False)

    def log_posteriors(self, data: DetectionData) -> Floats:
        """float64 (images, classes)."""
        values = values_of(data, self.layers, self.values)
        found = np.empty((len(data), len(self.offsets)))
        for block in row_blocks(len(data)):
            found[block] = values[block].astype(np.float32) @ self.weights + self.offsets
        found -= found.max(axis=1, keepdims=True)
        found -= np.log(np.exp(found).sum(axis=1, keepdims=True))
        return found

    def to_arrays(self, prefix: str) -> Arrays:
        """Weights and offsets, their names after `prefix`."""
        return {f"{prefix}.weights": self.weights, f"{prefix}.offsets": self.offsets}


def fit_discriminant(
    data: DetectionData, layers: list[Layer], values: Values, prior: float
) -> Discriminant:
    """Fit to the predicted classes.

    Args:
        data: Clean images.
        layers: Layers to look at together.
        values: Gates or scores.
        prior: Images of the overall mean that are added to each class.
    """
    table = LayerTable(layers)
    found = values_of(data, table, values)
    means = class_means(found, data.predictions, class_count(data), prior)
    rest = (found - means[data.predictions]).astype(np.float32)
    centred = means[:-1] - means[-1]
    weights = np.linalg.solve(covariance(rest), centred.T)
    # Centred on the overall mean, so that the offsets stay small beside the sums in float32.
    offsets = -0.5 * (centred.T * weights).sum(axis=0) - means[-1] @ weights
    return Discriminant(table, values, weights.astype(np.float32), offsets.astype(np.float32))


def margin(log_posteriors: Floats, predicted: Ints) -> Floats:
    """How much more likely the predicted class is than the best other one: (images,), in nats.

    A class that the discriminant does not know has the evidence of the least likely one.
    """
    known = class_rows(predicted, log_posteriors.shape[1])
    padded = np.column_stack([log_posteriors, log_posteriors.min(axis=1)])
    own = np.take_along_axis(padded, known[:, None], axis=1)[:, 0]
    others = padded.copy()
    np.put_along_axis(others, known[:, None], -np.inf, axis=1)
    return np.asarray(own - others.max(axis=1))
