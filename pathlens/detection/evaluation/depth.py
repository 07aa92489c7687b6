"""Where in depth altered images leave the class path of their true class for another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.source import Floats, Ints
from pathlens.detection.data import DetectionData
from pathlens.detection.evaluation.cells import CLEAN
from pathlens.detection.evaluation.fitting import Trial
from pathlens.detection.evaluation.metrics import Draws, Resamples, interval
from pathlens.detection.evaluation.splits import FIT, TEST, THRESHOLD
from pathlens.detection.sets import ATTACK

PREDICTED, TRUE = "predicted", "true"

DEPTH_COLUMNS = (
    *("code", "altered", "kind", "n", "layer", "layer_name", "path_of", "distance"),
    *("low", "high"),
)
CROSSING_COLUMNS = ("code", "altered", "n", "layer", "layer_name", "low", "high", "never")


class ClassDistances:
    """Distance of paths to class paths layer by layer, standardised by clean images.

    The distance of a path to a class path is sum_f |z_f - r_f| over the filters f of a layer, z the
    gate and r the rate of the class: 0 for a gate that does what all images of the class do. From it
    the mean over clean images to their own class is subtracted, then it is divided by their spread.
    """

    def __init__(self, fitting: DetectionData, clean: DetectionData) -> None:
        """Estimate class paths on some clean images, mean and spread on others."""
        labels = fitting.images["label"].to_numpy(dtype=np.int64)
        self._classes = max(len(fitting.classes), int(labels.max()) + 1)
        member = np.zeros((self._classes, len(labels)), dtype=np.float32)
        member[labels, np.arange(len(labels))] = 1
        # A class that the network never gets right when clean has the path of all images.
        member[~member.any(axis=1)] = 1
        share = member / member.sum(axis=1, keepdims=True)
        self._rates = {x.name: share @ fitting.bits[x.name] for x in fitting.layers}
        own = self._raw(clean, clean.images["label"].to_numpy(dtype=np.int64))
        spread = own.std(axis=0)
        self._mean, self._spread = own.mean(axis=0), np.where(spread > 0, spread, np.inf)

    def __call__(self, data: DetectionData, classes: Ints) -> Floats:
        """Standardised distance to the path of one class for each image: float64 (images, layers)."""
        return np.asarray((self._raw(data, classes) - self._mean) / self._spread)

    def _raw(self, data: DetectionData, classes: Ints) -> Floats:
        columns = []
        for layer in data.layers:
            rates = self._rates[layer.name]
            # |z - r| = r + z (1 - 2 r) for a z of 0 or 1.
            all_classes = data.bits[layer.name].astype(np.float32) @ (1 - 2 * rates).T
            picked = all_classes[np.arange(len(data)), classes]
            columns.append(picked + rates.sum(axis=1)[classes])
        return np.stack(columns, axis=1).astype(np.float64)


def depth_tables(
    trial: Trial, resamples: Resamples
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the table of distances and of the table of crossings of one code."""
    distances = ClassDistances(trial.clean(FIT), trial.clean(THRESHOLD))
    bench = trial.bench
    rows, crossings = _set_rows(trial, distances, resamples, CLEAN, CLEAN, bench.sources)
    for name, cell in bench.cells.items():
        more, crossed = _set_rows(trial, distances, resamples, name, cell.kind, cell.sources)
        rows += more
        crossings += crossed
    return rows, crossings


def _set_rows(
    trial: Trial,
    distances: ClassDistances,
    resamples: Resamples,
    name: str,
    kind: str,
    sources: Ints,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    data = trial.clean(TEST) if kind == CLEAN else trial.altered(trial.bench.cells[name], TEST)
    if not len(data):
        return [], []
    counts = resamples.of(sources[trial.rows(sources, TEST)])
    rows: list[dict[str, Any]] = []
    means: dict[str, Floats] = {}
    draws: dict[str, Draws] = {}
    for path_of, column in ((PREDICTED, "prediction"), (TRUE, "label")):
        values = distances(data, data.images[column].to_numpy(dtype=np.int64))
        means[path_of], draws[path_of] = values.mean(axis=0), _mean_draws(values, counts)
        for place, layer in enumerate(data.layers):
            low, high = interval(draws[path_of][:, place])
            where = (trial.code, name, kind, len(data), layer.index, layer.name, path_of)
            found = (*where, float(means[path_of][place]), low, high)
            rows.append(dict(zip(DEPTH_COLUMNS, found, strict=True)))
    if kind != ATTACK:
        return rows, []
    first = _crossing((means[PREDICTED] - means[TRUE])[None])
    drawn = _crossing(draws[PREDICTED] - draws[TRUE])
    return rows, [_crossing_row(trial, name, data, first[0], drawn)]


def _mean_draws(values: Floats, counts: Any) -> Draws:
    """Means in bootstrap samples: float64 (samples, layers)."""
    total = counts.sum(axis=0, dtype=np.float64)[:, None]
    return np.asarray((counts.T @ values.astype(np.float32)) / np.maximum(total, 1))


def _crossing(difference: Floats) -> Floats:
    """From which layer on the predicted class is always the nearer one: float64 (samples,).

    Args:
        difference: float64 (samples, layers), distance to the predicted class minus that to the true
            one.

    Returns:
        Positions from 0; NaN where the last layer is nearer to the true class.
    """
    layers = difference.shape[1]
    nearer_to_true = difference >= 0
    last = layers - 1 - np.argmax(nearer_to_true[:, ::-1], axis=1)
    first = np.where(nearer_to_true.any(axis=1), last + 1, 0).astype(np.float64)
    return np.where(first < layers, first, np.nan)


def _crossing_row(
    trial: Trial, name: str, data: DetectionData, first: float, drawn: Floats
) -> dict[str, Any]:
    layers = list(data.layers)
    low, high = interval(drawn)

    def index(position: float) -> float:
        return float("nan") if np.isnan(position) else float(layers[round(position)].index)

    values = (
        *(trial.code, name, len(data), index(first)),
        "" if np.isnan(first) else layers[round(first)].name,
        *(index(low), index(high), float(np.isnan(drawn).mean()) if len(drawn) else float("nan")),
    )
    return dict(zip(CROSSING_COLUMNS, values, strict=True))


def crossing_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The crossings as a table, with all columns also where there are none."""
    return pd.DataFrame(rows, columns=list(CROSSING_COLUMNS))
