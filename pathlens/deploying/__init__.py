"""The deploying room: from a run and its recording to networks that run fast."""

from pathlens.deploying.cutting import Accuracy, CutRun, cut
from pathlens.deploying.speed import speed

__all__ = ["Accuracy", "CutRun", "cut", "speed"]
