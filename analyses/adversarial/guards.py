"""The detectors that are to be evaded, fitted and given thresholds on images that are not attacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from subject import Subject

from pathlens.attacking.watching import fingerprint
from pathlens.detection import (
    DetectionData,
    Detector,
    Fitted,
    SavedDetector,
    detection_data,
    find_detector,
    joined,
)
from pathlens.detection.data import successful_attacks
from pathlens.detection.detectors.combined import Combined
from pathlens.detection.evaluation.metrics import threshold_at
from pathlens.detection.evaluation.splits import FIT, TEST, THRESHOLD, split_sources
from pathlens.errors import PathLensError
from pathlens.recording import open_recording
from pathlens.recording.manifest import MANIFEST

TOGETHER = " + "
INNOCENT = 0.5
"""Share of clean images that a stand-in finds stranger than what an attack by transfer aims at."""


@dataclass(frozen=True)
class Sides:
    """Clean images that the network gets right, and successful attacks on those that are fitted on."""

    fit: DetectionData
    threshold: DetectionData
    test: DetectionData
    attacked: DetectionData


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


def sides_of(study: Mapping[str, Any], subject: Subject) -> Sides:
    """The sides of a study's network, on whose attacks detectors are fitted as the study says."""
    altered = subject.recording.folder.parent
    folders = [altered / f"altered-{label}" for label in study["fitted_on"]]
    return sides(subject.right(), folders, study["seed"])


def fitted_on(of: Sides, detector: Detector) -> Fitted:
    """A detector fitted on the images to fit on."""
    return detector.fit(of.fit, of.attacked if detector.supervised else None)


def _attacked(folder: Path) -> DetectionData:
    if not (folder / MANIFEST).is_file():
        raise PathLensError(
            f"There is no recording {folder} to fit on: make it with `run.py WORK --sets 1`."
        )
    return detection_data(open_recording(folder))


def guard(name: str, of: Sides, checkpoint: str, shares: Sequence[float]) -> Guard:
    """A fitted detector with its thresholds.

    It is not kept: fitting takes seconds, and what an older version fitted would stay unseen.

    Args:
        name: Its name, or several joined by " + " that are to be summed.
        of: The images.
        checkpoint: SHA-256 of the checkpoint.
        shares: Shares of false alarms.
    """
    detector = detector_of(name)
    fitted = fitted_on(of, detector)
    scores = fitted.score(of.threshold)
    thresholds = {share: float(threshold_at(scores, share)) for share in (*shares, INNOCENT)}
    return Guard(name, SavedDetector(detector, fitted, checkpoint), thresholds)


def detector_of(name: str) -> Detector:
    """A detector of the registry, or the sum of several."""
    members = tuple(find_detector(one) for one in name.split(TOGETHER))
    # Files of detectors bear a name of the registry, whatever their settings.
    return members[0] if len(members) == 1 else Combined(members=members, name="soft-combined")
