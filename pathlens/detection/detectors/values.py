"""What of a path a detector looks at: its gates, or the scores they were decided from."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.layers import LayerTable

Values = Literal["bits", "scores"]
"""Gates (0 and 1), or gate scores (floats, to be recorded with `--with scores`)."""


def values_of(data: DetectionData, layers: LayerTable, values: Values) -> npt.NDArray[Any]:
    """Side by side, (images, filters): bool for bits, float32 for scores.

    Raises:
        PathLensError: If scores are asked for and were not recorded.
    """
    return data.path(layers.names) if values == "bits" else data.path_scores(layers.names)


def covariance(rest: npt.NDArray[Any]) -> Floats:
    """Covariance of centred values (images, values), shrunk so that it can be inverted.

    Ledoit & Wolf (2004), with a floor of a millionth of the mean variance for values that never vary.
    """
    from sklearn.covariance import ledoit_wolf

    found = np.asarray(ledoit_wolf(rest, assume_centered=True)[0], dtype=np.float64)
    floor = max(1e-6 * float(np.trace(found)) / len(found), 1e-12)
    return found + floor * np.eye(len(found))
