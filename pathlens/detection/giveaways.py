"""`giveaways()`: which layers and filters give one image away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.results import Result, join_notes
from pathlens.analysis.source import Floats
from pathlens.detection.api import FITTED, fitted_for
from pathlens.detection.data import DetectionData, detection_data
from pathlens.detection.detectors.base import ByFilter
from pathlens.detection.saving import SavedDetector
from pathlens.errors import PathLensError, unknown
from pathlens.recording.reader import Recording, open_recording

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAYERS, FILTERS = 3, 3
"""Layers that sentences name, and filters of each."""

_FRAME = ["detector", "layer", "name", "filter", "on", "class_rate", "unlike", "part"]


@dataclass(frozen=True)
class Giveaways(Result):
    """What detectors say of one image, and because of which layers and filters.

    Attributes:
        frame: A row a detector whose score is a sum over layers, and a filter of these: detector,
            layer (its number), name, filter, on, class_rate (share of the class's clean images that
            have the gate on; NaN if unknown), unlike (share of them that has it otherwise than the
            image), part (what the filter adds to the score; NaN where layers are no sums of filters).
        layers: A row a detector and layer: detector, layer, name, part (what the layer adds).
        scores: A row a detector: detector, score, threshold (NaN where none was chosen), flagged.
        image: Its id.
        predicted: Name of the class that it is taken for.
        left_out: Detectors that could not look at the image, and why.
    """

    frame: pd.DataFrame = field(repr=False)
    layers: pd.DataFrame = field(repr=False)
    scores: pd.DataFrame = field(repr=False)
    image: str
    predicted: str
    left_out: str = ""

    @property
    def speaker(self) -> str:
        """The detector whose layers are named: one that flags the image and knows filters, if any."""
        known = self.frame.assign(filters=self.frame["part"].notna()).groupby(
            "detector", sort=False
        )
        told = self.scores.set_index("detector").join(known["filters"].any(), how="inner")
        ranked = told.sort_values(["flagged", "filters"], ascending=False, kind="stable")
        return str(ranked.index[0]) if len(ranked) else ""

    def layers_that_add(self, count: int = LAYERS) -> pd.DataFrame:
        """The rows of `layers` of the speaker that add most to its score, largest first."""
        own = self.layers[(self.layers["detector"] == self.speaker) & (self.layers["part"] > 0)]
        return own.sort_values("part", ascending=False, kind="stable").head(count)

    def filters_unlike(self, name: str, count: int = FILTERS) -> pd.DataFrame:
        """The filters of a layer whose gate most images of the class have otherwise, worst first."""
        own = self.frame[(self.frame["detector"] == self.speaker) & (self.frame["name"] == name)]
        strange = own[own["unlike"] > 0.5]
        return strange.sort_values(["part", "unlike"], ascending=False, kind="stable").head(count)

    def summary(self) -> str:
        """Each score beside its threshold, then the layers that add most."""
        from pathlens.detection.giveaway_text import summary_of

        return summary_of(self)

    def text(self) -> str:
        """The same as lines, with the filters of each layer whose gates are unlike the class path."""
        from pathlens.detection.giveaway_text import text_of

        return text_of(self)

    def plot(self) -> Figure:
        """What each layer adds to the scores that are sums over layers."""
        from pathlens.detection.giveaway_drawing import draw_giveaways

        return draw_giveaways(self)


def giveaways(
    recording: str | Path | Recording,
    image: str | int,
    detectors: str | Path | Sequence[SavedDetector] | Mapping[str, SavedDetector] | None = None,
    *,
    clean: str | Path | Recording | None = None,
) -> Giveaways:
    """Say what detectors make of one image, and which layers and filters of its path are why.

    Args:
        recording: The recording that holds the image, such as one of attacked images.
        image: Its id, or its position from 0.
        detectors: As of `score`; those beside the clean recording if not given.
        clean: Recording of clean images, whose class paths the gates are held against; `recording`
            itself if not given. The image, and the one that it was made of, are left out of it.

    Raises:
        PathLensError: If there is no such image or no fitted detector, or the recordings or detectors
            are of different checkpoints.
    """
    source = recording if isinstance(recording, Recording) else open_recording(recording)
    known = clean if isinstance(clean, Recording) else open_recording(clean or source.folder)
    checkpoint = str(source.manifest.get("checkpoint", ""))
    if known.manifest.get("checkpoint", "") != checkpoint:
        raise PathLensError(
            f"{known.folder} was recorded with another checkpoint than {source.folder}: record both "
            "with the same."
        )
    given = known.folder / FITTED if detectors is None else detectors
    fitted = fitted_for(checkpoint, given)
    one = detection_data(source).take([_position(source, image)])
    return giveaways_of(one, fitted, class_rates_without(known, one))


def giveaways_of(
    one: DetectionData, fitted: Sequence[SavedDetector], rates: Mapping[str, Floats]
) -> Giveaways:
    """As `giveaways`, of an image whose path is at hand.

    Args:
        one: The image alone.
        fitted: Detectors of its checkpoint.
        rates: Layer name to the share of clean images of the predicted class with each gate on,
            float64 (filters,); NaN, or no entry, where that is unknown.
    """
    scores, layers, frames, notes = [], [], [], []
    for saved in fitted:
        name = saved.detector.name
        try:
            score = float(saved.fitted.score(one)[0])
        except PathLensError as error:
            notes.append(f"detector {name} ({str(error).rstrip('.')})")
            continue
        limit = np.nan if saved.threshold is None else saved.threshold
        scores.append((name, score, limit, score > limit))
        parts = saved.fitted.by_layer(one)
        if parts is not None:
            layers.append(_layer_rows(saved, parts[0]))
            frames.append(_filter_rows(saved, one, rates))
    predicted = int(one.predictions[0])
    named = predicted < len(one.classes)
    return Giveaways(
        _stacked(frames, _FRAME),
        _stacked(layers, ["detector", "layer", "name", "part"]),
        pd.DataFrame(scores, columns=["detector", "score", "threshold", "flagged"]),
        str(one.images["image"].iloc[0]),
        one.classes[predicted] if named else f"class {predicted}",
        join_notes(notes),
    )


def class_rates_without(known: Recording, one: DetectionData) -> dict[str, Floats]:
    """Gate rates of the recorded images of the predicted class, without the image and its source."""
    data = detection_data(known)
    own = {str(one.images["image"].iloc[0]), str(one.sources[0])}
    others = np.array([str(source) not in own for source in data.sources], dtype=np.bool_)
    chosen = np.flatnonzero(others & (data.predictions == one.predictions[0]))
    if not len(chosen):
        return {}
    return {name: np.asarray(bits[chosen].mean(axis=0)) for name, bits in data.bits.items()}


def _position(recording: Recording, image: str | int) -> int:
    ids = recording.images["image"].tolist()
    if image in ids:
        return ids.index(image)
    if str(image).isdigit() and int(image) < len(ids):
        return int(image)
    raise unknown("image (neither an id nor a position of the recording)", str(image), ids)


def _layer_rows(saved: SavedDetector, parts: Floats) -> pd.DataFrame:
    layers = saved.fitted.layers
    return pd.DataFrame(
        {
            "detector": saved.detector.name,
            "layer": [layer.index for layer in layers],
            "name": layers.names,
            "part": parts,
        }
    )


def _filter_rows(
    saved: SavedDetector, one: DetectionData, rates: Mapping[str, Floats]
) -> pd.DataFrame:
    parts = saved.fitted.by_filter(one) if isinstance(saved.fitted, ByFilter) else None
    rows = []
    for layer in saved.fitted.layers:
        on = one.bits[layer.name][0]
        rate = rates.get(layer.name, np.full(layer.filters, np.nan))
        table = {
            "detector": saved.detector.name,
            "layer": layer.index,
            "name": layer.name,
            "filter": np.arange(layer.filters),
            "on": on,
            "class_rate": rate,
            "unlike": np.where(on, 1 - rate, rate),
            "part": np.nan if parts is None else parts[layer.name][0],
        }
        rows.append(pd.DataFrame(table))
    return _stacked(rows, _FRAME)


def _stacked(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
