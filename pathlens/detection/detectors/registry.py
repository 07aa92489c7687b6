"""The detectors that have a name; adding one is a file and a line."""

from __future__ import annotations

from pathlens.detection.detectors.base import Detector
from pathlens.detection.detectors.boosting import Boosting
from pathlens.detection.detectors.combined import Combined
from pathlens.detection.detectors.consistency import Consistency
from pathlens.detection.detectors.energy import Energy
from pathlens.detection.detectors.forest import Forest
from pathlens.detection.detectors.hamming import Hamming
from pathlens.detection.detectors.likelihood import Likelihood
from pathlens.detection.detectors.logistic import Logistic
from pathlens.detection.detectors.mahalanobis import Mahalanobis
from pathlens.detection.detectors.neighbours import Neighbours
from pathlens.detection.detectors.pairwise import Pairwise
from pathlens.detection.detectors.soft_likelihood import SoftLikelihood
from pathlens.detection.detectors.softmax import Softmax
from pathlens.detection.detectors.two_sided import TwoSided
from pathlens.detection.detectors.typicality import Typicality
from pathlens.detection.detectors.votes import Votes
from pathlens.detection.detectors.whitened import PathMahalanobis
from pathlens.errors import unknown

_ALL: tuple[Detector, ...] = (
    Hamming(),
    Likelihood(),
    Pairwise(),
    Neighbours(),
    PathMahalanobis(values="bits", name="one-class"),
    Votes(),
    Typicality(),
    Consistency(),
    SoftLikelihood(),
    PathMahalanobis(),
    Neighbours(values="scores", name="soft-neighbours"),
    Votes(values="scores", name="soft-votes"),
    Typicality(of=Votes(values="scores"), name="soft-typicality"),
    Consistency(values="scores", name="soft-consistency"),
    Logistic(),
    Forest(),
    Boosting(),
    Logistic(values="scores", name="soft-logistic"),
    Forest(values="scores", name="soft-forest"),
    Boosting(values="scores", name="soft-boosting"),
    Softmax(),
    Energy(),
    TwoSided(of=Softmax(), log_odds=True, name="softmax-two-sided"),
    TwoSided(),
    Mahalanobis(),
    Combined(),
    Combined(
        members=(Neighbours(), Consistency(values="scores"), Mahalanobis()), name="soft-combined"
    ),
)

DETECTORS: dict[str, Detector] = {detector.name: detector for detector in _ALL}
"""Name to detector with its default settings."""

BASELINES = ("softmax", "energy", "softmax-two-sided", "energy-two-sided", "mahalanobis")
"""Detectors that look at the output of the network and not at paths."""


def find_detector(name: str) -> Detector:
    """The detector of this name.

    Raises:
        PathLensError: If there is none; the nearest names are listed.
    """
    if name not in DETECTORS:
        raise unknown("detector", name, list(DETECTORS))
    return DETECTORS[name]
