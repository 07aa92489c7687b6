"""The detectors that are to be evaded, fitted and given thresholds on images that are not attacked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pathlens.attacking.watching import fingerprint
from pathlens.detection import (
    DetectionData,
    Detector,
    SavedDetector,
    detection_data,
    find_detector,
    joined,
    load_detector,
    save_detector,
)
from pathlens.detection.data import successful_attacks
from pathlens.detection.detectors.combined import Combined
from pathlens.detection.evaluation.metrics import threshold_at
from pathlens.detection.evaluation.splits import FIT, TEST, THRESHOLD, split_sources
from pathlens.errors import PathLensError
from pathlens.files import read_json, write_json
from pathlens.recording import open_recording
from pathlens.recording.manifest import MANIFEST

TOGETHER = " + "
THRESHOLDS = "thresholds.json"
INNOCENT = 0.5
"""Share of clean images that a stand-in finds stranger than what an attack by transfer aims at."""


@dataclass(frozen=True)
class Sides:
    """Clean images that the network gets right, and successful attacks on those that are fitted on."""

    fit: DetectionData
    threshold: DetectionData
    test: DetectionData
    attacked: DetectionData

    @property
    def fingerprint(self) -> str:
        """SHA-256 of which images are fitted on and fix thresholds."""
        parts = (self.fit.sources, self.threshold.sources, self.attacked.images["image"])
        text = "\n\n".join("\n".join(map(str, part)) for part in parts)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Guard:
    """A fitted detector and its score at each share of false alarms."""

    name: str
    saved: SavedDetector
    thresholds: Mapping[float, float]

    def at(self, share: float) -> SavedDetector:
        """The detector with the threshold of a share of false alarms."""
        return replace(self.saved, threshold=self.thresholds[share])

    @property
    def innocent(self) -> SavedDetector:
        """The detector as a stand-in, whose score is to be one that many clean images have."""
        return self.at(INNOCENT)

    @property
    def fingerprint(self) -> str:
        """Of all that fitting found."""
        return fingerprint(self.saved)

    @property
    def fitted_on(self) -> str:
        """What it has seen."""
        return "attacks" if self.saved.detector.supervised else "clean"


def sides(right: DetectionData, folders: Sequence[Path], seed: int) -> Sides:
    """Images to fit on, to fix thresholds on and to attack: never one on two sides.

    Thresholds are fixed on images of which no attack was made, as far as there are enough.

    Args:
        right: The clean images that the network gets right.
        folders: Recordings of attacks to fit on.
        seed: Seed of the split.
    """
    attacks = [_attacked(folder) for folder in folders]
    names = right.sources
    held = np.stack([np.isin(names, one.sources) for one in attacks], axis=1)
    patterns = held @ (1 << np.arange(len(attacks)))
    labels = right.images["label"].to_numpy(dtype=np.int64)
    parts = split_sources(labels, patterns.astype(np.int64), seed)
    fitted = set(names[parts == FIT].tolist())
    shown = [successful_attacks(one, fitted) for one in attacks]
    threshold, test = right.take(parts == THRESHOLD), right.take(parts == TEST)
    return Sides(right.take(parts == FIT), threshold, test, joined(shown))


def _attacked(folder: Path) -> DetectionData:
    if not (folder / MANIFEST).is_file():
        raise PathLensError(
            f"There is no recording {folder} to fit on: make it with `run.py WORK --sets 1`."
        )
    return detection_data(open_recording(folder))


def guard(name: str, of: Sides, checkpoint: str, shares: Sequence[float], folder: Path) -> Guard:
    """A fitted detector, as it is kept in a folder or newly fitted and kept there.

    Args:
        name: Its name, or several joined by " + " that are to be summed.
        of: The images.
        checkpoint: SHA-256 of the checkpoint.
        shares: Shares of false alarms.
        folder: Where it is kept.
    """
    detector = detector_of(name)
    asked = {"images": of.fingerprint, "checkpoint": checkpoint, "shares": [*shares, INNOCENT]}
    if _kept(folder).get("asked") != asked or not _of_settings(folder, detector):
        fitted = detector.fit(of.fit, of.attacked if detector.supervised else None)
        save_detector(folder, SavedDetector(detector, fitted, checkpoint))
        scores = fitted.score(of.threshold)
        found = {str(share): threshold_at(scores, share) for share in asked["shares"]}
        write_json(folder / THRESHOLDS, {"asked": asked, "thresholds": found})
    saved = load_detector(folder / f"{detector.name}.json", checkpoint)
    thresholds = _kept(folder)["thresholds"]
    return Guard(name, saved, {float(share): float(x) for share, x in thresholds.items()})


def _of_settings(folder: Path, detector: Detector) -> bool:
    """Whether what is kept was fitted with the settings that the detector has now."""
    try:
        kept = load_detector(folder / f"{detector.name}.json")
    except PathLensError:
        return False
    return repr(kept.detector) == repr(detector)


def _kept(folder: Path) -> dict[str, Any]:
    path = folder / THRESHOLDS
    return dict(read_json(path)) if path.is_file() else {}


def detector_of(name: str) -> Detector:
    """A detector of the registry, or the sum of several."""
    members = tuple(find_detector(one) for one in name.split(TOGETHER))
    # Files of detectors bear a name of the registry, whatever their settings.
    return members[0] if len(members) == 1 else Combined(members=members, name="soft-combined")
