"""Evaluation of detectors: on sources that were not fitted on, with intervals, beside baselines."""

from pathlens.detection.evaluation.api import evaluate
from pathlens.detection.evaluation.result import Evaluation
from pathlens.detection.evaluation.splits import Shares

__all__ = ["Evaluation", "Shares", "evaluate"]
