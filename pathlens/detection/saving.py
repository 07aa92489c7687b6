"""Fitted detectors in files: arrays in .npz, the rest in .json, nothing that runs code when opened."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from pathlens._version import __version__
from pathlens.analysis.source import Floats
from pathlens.detection.detectors import DETECTORS, Detector, Fitted, find_detector
from pathlens.detection.used import UsedImages
from pathlens.errors import PathLensError
from pathlens.files import read_json, write_bytes, write_json, write_text
from pathlens.layers import Layer, LayerTable
from pathlens.recording.reader import Recording

FORMAT = "pathlens-detector"
SCORES = "detection_scores.csv"
"""Scores beside a recording; a row an image and detector."""

_USED = "images.used"
_COLUMNS = ["recording", "image", "detector", "score", "threshold", "flagged"]


@dataclass(frozen=True)
class SavedDetector:
    """A fitted detector and where it comes from.

    Attributes:
        detector: Its settings.
        fitted: What fitting found.
        checkpoint: SHA-256 of the checkpoint whose paths it was fitted on; "" if unknown.
        threshold: Score above which an image is flagged; None if it was not chosen.
        used: Clean images that it was fitted on, or that fixed the threshold; None if unknown.
    """

    detector: Detector
    fitted: Fitted = field(repr=False)
    checkpoint: str = ""
    threshold: float | None = None
    used: UsedImages | None = field(default=None, repr=False)


def save_detector(folder: str | Path, saved: SavedDetector) -> Path:
    """Write `NAME.npz` and then `NAME.json`, whose presence means that both are whole.

    Args:
        folder: Folder of fitted detectors.
        saved: What to write; its detector is one of the registry, whatever its settings.

    Returns:
        The JSON file.

    Raises:
        PathLensError: If the detector is not in the registry, or the folder cannot be written.
    """
    find_detector(saved.detector.name)
    target = Path(folder) / f"{saved.detector.name}.json"
    buffer = io.BytesIO()
    used = {} if saved.used is None else {_USED: saved.used.hashes}
    np.savez(buffer, allow_pickle=False, **saved.fitted.to_arrays(), **used)
    target.unlink(missing_ok=True)
    write_bytes(target.with_suffix(".npz"), buffer.getvalue())
    write_json(target, _described(saved))
    return target


def _described(saved: SavedDetector) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": 1,
        "detector": saved.detector.name,
        "settings": _settings(saved.detector),
        "checkpoint": saved.checkpoint,
        "threshold": saved.threshold,
        "layers": [layer.to_json() for layer in saved.fitted.layers],
        "versions": {"pathlens": __version__, "numpy": np.__version__},
    }


def _settings(detector: Detector) -> dict[str, Any]:
    """Settings as JSON holds them; a detector within it is written as its own settings."""
    settings: Any = detector
    return dict(json.loads(json.dumps(asdict(settings))))


def load_detector(source: str | Path, checkpoint: str | None = None) -> SavedDetector:
    """Read a fitted detector.

    Args:
        source: The JSON file that `save_detector` wrote.
        checkpoint: SHA-256 of the checkpoint whose paths are to be scored; not compared if None.

    Raises:
        PathLensError: If there is none, it is damaged, or it belongs to another checkpoint.
    """
    path = Path(source)
    about = read_json(path)
    try:
        detector = _with_settings(find_detector(str(about["detector"])), about["settings"])
        layers = LayerTable(Layer.from_json(entry) for entry in about["layers"])
        arrays = _arrays(path.with_suffix(".npz"))
        # Files of earlier versions do not say it.
        hashes = arrays.pop(_USED, None)
        used = None if hashes is None else UsedImages(hashes)
        fitted = detector.from_arrays(layers, arrays)
        found = SavedDetector(detector, fitted, str(about["checkpoint"]), about["threshold"], used)
    except (OSError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise PathLensError(
            f"{path} is no fitted detector or is damaged: fit it again with `pathlens detect fit`."
        ) from error
    if checkpoint is not None and found.checkpoint and checkpoint != found.checkpoint:
        raise PathLensError(
            f"{path} was fitted on paths of another checkpoint: fit the detector again on a recording "
            "of this one, as paths of two networks have nothing in common."
        )
    return found


def _arrays(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _with_settings(detector: Any, settings: dict[str, Any]) -> Any:
    """The same kind of detector with other settings."""
    chosen = {}
    for entry in fields(detector):
        chosen[entry.name] = _value(getattr(detector, entry.name), settings[entry.name])
    return type(detector)(**chosen)


def _value(default: Any, given: Any) -> Any:
    """A setting as the detector has it, from what JSON holds."""
    if isinstance(given, dict):
        return _with_settings(DETECTORS[given["name"]], given)
    if isinstance(given, list):
        return tuple(_value(None, entry) for entry in given)
    return given


def write_scores(recording: Recording, scores: dict[str, tuple[Floats, float | None]]) -> Path:
    """Write scores beside a recording, in place of earlier ones by the same detectors.

    Args:
        recording: The recording that was scored.
        scores: Detector name to float64 (images,) scores and its threshold, or None.

    Returns:
        The file, with columns recording (hash), image, detector, score, threshold and flagged.

    Raises:
        PathLensError: If the folder cannot be written, or the file there is damaged.
    """
    target = recording.folder / SCORES
    new = [_rows(recording, name, *found) for name, found in scores.items()]
    kept = _read(target)
    kept = kept[(kept["recording"] == recording.hash) & ~kept["detector"].isin(list(scores))]
    table = pd.concat([kept, *new], ignore_index=True) if len(kept) else pd.concat(new)
    write_text(target, table.to_csv(index=False))
    return target


def read_scores(recording: Recording) -> pd.DataFrame | None:
    """The scores beside a recording that are about it; None if there are none.

    Columns image, detector, score, threshold (missing where none was chosen) and flagged.

    Raises:
        PathLensError: If the file is damaged.
    """
    table = _read(recording.folder / SCORES)
    own = table[table["recording"] == recording.hash]
    return None if own.empty else own.drop(columns="recording").reset_index(drop=True)


def _rows(recording: Recording, name: str, scores: Floats, threshold: float | None) -> pd.DataFrame:
    flagged = "" if threshold is None else np.where(scores > threshold, "yes", "no")
    values = (recording.hash, recording.images["image"], name, scores, threshold, flagged)
    return pd.DataFrame(dict(zip(_COLUMNS, values, strict=True)))


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame(columns=_COLUMNS)
    words = dict.fromkeys(("recording", "image", "detector", "flagged"), str)
    try:
        # An image may be called NA.
        missing = {"score": [""], "threshold": [""]}
        table = pd.read_csv(path, keep_default_na=False, na_values=missing, dtype=words)
        return table[_COLUMNS]
    except (OSError, ValueError, KeyError) as error:
        raise PathLensError(
            f"{path} is no table of detection scores: move it away and score the recording again with "
            "`pathlens detect score`."
        ) from error
