"""Detection: how far an image's path strays from the paths of the class it is taken for."""

from pathlens.detection.api import evaluate_recordings, fit, score
from pathlens.detection.data import DetectionData, detection_data, joined
from pathlens.detection.detectors import BASELINES, DETECTORS, Detector, Fitted, find_detector
from pathlens.detection.evaluation import Evaluation, Shares, evaluate
from pathlens.detection.giveaways import Giveaways, giveaways
from pathlens.detection.saving import (
    SavedDetector,
    load_detector,
    read_scores,
    save_detector,
    write_scores,
)
from pathlens.detection.sets import AlteredSets, altered_sets

__all__ = [
    "BASELINES",
    "DETECTORS",
    "AlteredSets",
    "DetectionData",
    "Detector",
    "Evaluation",
    "Fitted",
    "Giveaways",
    "SavedDetector",
    "Shares",
    "altered_sets",
    "detection_data",
    "evaluate",
    "evaluate_recordings",
    "find_detector",
    "fit",
    "giveaways",
    "joined",
    "load_detector",
    "read_scores",
    "save_detector",
    "score",
    "write_scores",
]
