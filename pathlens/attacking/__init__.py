"""The attacking room: attacked and benign images of a run, as folders that can be recorded."""

from pathlens.attacking.adapted import attack_detector
from pathlens.attacking.adaptive import AdaptiveImages, adaptive
from pathlens.attacking.api import alter, reencode
from pathlens.attacking.attacks import (
    CarliniWagner,
    DeepFool,
    FastGradient,
    ProjectedGradient,
    Square,
)
from pathlens.attacking.benign import Corruption, Jpeg, SignNoise
from pathlens.attacking.classifier import ImageClassifier
from pathlens.attacking.folder import AlteredImages, open_altered
from pathlens.attacking.recorded import attack, record_altered
from pathlens.attacking.registry import find_alteration, usual_labels

__all__ = [
    "AdaptiveImages",
    "AlteredImages",
    "CarliniWagner",
    "Corruption",
    "DeepFool",
    "FastGradient",
    "ImageClassifier",
    "Jpeg",
    "ProjectedGradient",
    "SignNoise",
    "Square",
    "adaptive",
    "alter",
    "attack",
    "attack_detector",
    "find_alteration",
    "open_altered",
    "record_altered",
    "reencode",
    "usual_labels",
]
