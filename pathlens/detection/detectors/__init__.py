"""Detectors: one file each, a frozen dataclass of settings, what it fits, and a line in the registry."""

from pathlens.detection.detectors.base import Detector, Fitted
from pathlens.detection.detectors.registry import BASELINES, DETECTORS, find_detector

__all__ = ["BASELINES", "DETECTORS", "Detector", "Fitted", "find_detector"]
