"""What detectors see of some images: their paths, and where recorded their floats, in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.analysis.baselines import Matched
from pathlens.analysis.source import Bits, Ints, PathData
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec, LayerTable
from pathlens.recording.further import FEATURES, LOGITS, SCORE_PREFIX

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DetectionData:
    """Some images as detectors see them; a row an image everywhere.

    Attributes:
        layers: The layers that were read, in running order.
        classes: Class names; empty if unknown.
        images: `image`, and where known label, prediction, confidence, group, source_image, attack.
        bits: Layer name to gates, bool (images, filters).
        scores: Layer name to what the gates were decided from, float32 (images, filters); None if
            they were not recorded.
        features: Penultimate features, float32 (images, features), or None.
        logits: Class scores before the softmax, float32 (images, classes), or None.
    """

    layers: LayerTable
    classes: tuple[str, ...]
    images: pd.DataFrame = field(repr=False)
    bits: Mapping[str, Bits] = field(repr=False)
    scores: Mapping[str, Singles] | None = field(default=None, repr=False)
    features: Singles | None = field(default=None, repr=False)
    logits: Singles | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def predictions(self) -> Ints:
        """The class each image is taken for: int64 (images,).

        Raises:
            PathLensError: If the prediction of an image is not known.
        """
        if "prediction" in self.images:
            found = self.images["prediction"].fillna(-1).to_numpy(dtype=np.int64)
            if (found >= 0).all():
                return cast(Ints, found)
        raise PathLensError(
            "Detectors need the predicted class of every image, and the recording lacks it: record "
            "the images with a trained classifier (`pathlens record`)."
        )

    @property
    def sources(self) -> npt.NDArray[np.object_]:
        """Id of the clean image that each was made from, which is its own id for a clean one."""
        own = self.images["image"]
        if "source_image" in self.images:
            given = self.images["source_image"]
            own = given.where(given.notna() & (given != ""), own)
        return own.to_numpy(dtype=object)

    def path(self, layers: Iterable[LayerSpec] | None = None) -> Bits:
        """Gates side by side, bool (images, filters of the chosen layers); all layers for None."""
        return _side_by_side(self.bits, self._names(layers), len(self), np.bool_)

    def path_scores(self, layers: Iterable[LayerSpec] | None = None) -> Singles:
        """Gate scores side by side, float32 (images, filters of the chosen layers).

        Raises:
            PathLensError: If scores were not recorded.
        """
        if self.scores is None:
            raise lacking("scores")
        return _side_by_side(self.scores, self._names(layers), len(self), np.float32)

    def need_features(self) -> Singles:
        """The penultimate features.

        Raises:
            PathLensError: If they were not recorded.
        """
        if self.features is None:
            raise lacking("features")
        return self.features

    def need_logits(self) -> Singles:
        """The class scores.

        Raises:
            PathLensError: If they were not recorded.
        """
        if self.logits is None:
            raise lacking("logits")
        return self.logits

    def take(self, rows: npt.ArrayLike) -> DetectionData:
        """The images at `rows`: positions, or a bool for each image."""
        chosen = np.asarray(rows)
        positions = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.int64)
        return replace(
            self,
            images=self.images.iloc[positions].reset_index(drop=True),
            bits={name: bits[positions] for name, bits in self.bits.items()},
            scores=self.scores
            and {name: values[positions] for name, values in self.scores.items()},
            features=None if self.features is None else self.features[positions],
            logits=None if self.logits is None else self.logits[positions],
        )

    def _names(self, layers: Iterable[LayerSpec] | None) -> list[str]:
        return [layer.name for layer in self.layers.select(layers)]


def lacking(column: str) -> PathLensError:
    """The sentence for a column of floats that was not recorded."""
    return PathLensError(
        f"This detector needs {column}, and the recording holds none: record the images again into "
        f"another --out with `pathlens record --with {column}`."
    )


def detection_data(
    recording: PathData | DetectionData, layers: Iterable[LayerSpec] | None = None
) -> DetectionData:
    """Read what detectors need of a recording.

    Args:
        recording: A recording, or any code of the same images (`pathlens.analysis.baselines`).
        layers: Layers by number, name or glob; all for None.

    Raises:
        PathLensError: If there is no such layer, or the recording holds no images or layers.
    """
    if isinstance(recording, DetectionData):
        return _narrowed(recording, layers)
    chosen = LayerTable(recording.layers.select(layers))
    if not len(chosen) or not len(recording.images):
        raise PathLensError(
            "There is nothing to detect from, the recording holds no images or no layers: record a "
            "decoupled network with `pathlens record`."
        )
    return DetectionData(
        layers=chosen,
        classes=tuple(recording.classes),
        images=recording.images.reset_index(drop=True),
        bits={layer.name: recording.bits(layer.name) for layer in chosen},
        scores=_scores(recording, chosen),
        features=_floats(recording, FEATURES),
        logits=_floats(recording, LOGITS),
    )


def _narrowed(data: DetectionData, layers: Iterable[LayerSpec] | None) -> DetectionData:
    if layers is None:
        return data
    chosen = LayerTable(data.layers.select(layers))
    return replace(
        data,
        layers=chosen,
        bits={name: data.bits[name] for name in chosen.names},
        scores=data.scores and {name: data.scores[name] for name in chosen.names},
    )


def _scores(recording: PathData, layers: LayerTable) -> dict[str, Singles] | None:
    found: dict[str, Singles] = {}
    for name in layers.names:
        values = _floats(recording, SCORE_PREFIX + name)
        if values is None:
            return None
        found[name] = values
    return found


def _floats(recording: PathData, column: str) -> Singles | None:
    """An optional column of floats, None where it was not recorded."""
    source: Any = recording
    rows: Ints | None = None
    if isinstance(recording, Matched):
        source, rows = recording.source, recording.rows
    listing = getattr(source, "listing", None)
    if listing is None or all(known.name != column for known in listing.plan.further):
        return None
    if column.startswith(SCORE_PREFIX):
        values = source.scores(column.removeprefix(SCORE_PREFIX))
    else:
        values = source.features() if column == FEATURES else source.logits()
    chosen: Singles = (values if rows is None else values[rows]).astype(np.float32)
    return chosen


def joined(parts: Sequence[DetectionData]) -> DetectionData:
    """The images of several, one after the other; floats that one of them lacks are left out.

    Raises:
        PathLensError: If there are none, or their layers or classes differ.
    """
    if not parts:
        raise PathLensError("There are no images to join: give at least one recording.")
    first = parts[0]
    for other in parts[1:]:
        require_layers(other, first.layers)
        if len(other.layers) != len(first.layers) or other.classes != first.classes:
            raise PathLensError(
                "The recordings are not of one network, their layers or classes differ: record all "
                "images with the same checkpoint."
            )
    return DetectionData(
        layers=first.layers,
        classes=first.classes,
        images=pd.concat([part.images for part in parts], ignore_index=True),
        bits={name: np.concatenate([x.bits[name] for x in parts]) for name in first.layers.names},
        scores=_joined_scores(parts),
        features=_joined([part.features for part in parts]),
        logits=_joined([part.logits for part in parts]),
    )


def _joined_scores(parts: Sequence[DetectionData]) -> dict[str, Singles] | None:
    tables = [part.scores for part in parts if part.scores is not None]
    if len(tables) < len(parts):
        return None
    return {name: np.concatenate([x[name] for x in tables]) for name in parts[0].layers.names}


def _joined(values: Sequence[Singles | None]) -> Singles | None:
    present = [value for value in values if value is not None]
    return np.concatenate(present) if len(present) == len(values) else None


def successful_attacks(data: DetectionData, sources: Collection[str]) -> DetectionData:
    """The attacked images that are misclassified and were made of some clean images.

    Args:
        data: Attacked images, each with its label.
        sources: Ids of the clean images.

    Returns:
        These, with the columns `image`, `prediction` and `source_image` alone, as attacks of several
        recordings have not all the same others.
    """
    among = frozenset(sources)
    known = np.array([each in among for each in data.sources], dtype=np.bool_)
    wrong = data.images["label"].to_numpy(dtype=np.int64) != data.predictions
    kept = data.take(known & wrong)
    images = kept.images[["image", "prediction"]].assign(source_image=kept.sources)
    return replace(kept, images=images)


def require_layers(data: DetectionData, layers: LayerTable) -> None:
    """Make sure that `data` has these layers with as many filters.

    Raises:
        PathLensError: If it has not.
    """
    known = {layer.name: layer.filters for layer in data.layers}
    for layer in layers:
        if known.get(layer.name) != layer.filters:
            raise PathLensError(
                f"The recording has no layer {layer.name} with {layer.filters} filters, which the "
                "detector was fitted on: score recordings of the network that it was fitted on."
            )


def _side_by_side(
    table: Mapping[str, npt.NDArray[Any]], names: Sequence[str], rows: int, dtype: Any
) -> npt.NDArray[Any]:
    if not names:
        return np.zeros((rows, 0), dtype=dtype)
    return np.concatenate([table[name] for name in names], axis=1)
