"""The skipping room: inference that runs only the filters on the path, and cuts to one path."""

from pathlens.skipping.cutting import Cut, check_ending, cut, relative_error
from pathlens.skipping.exporting import Saved
from pathlens.skipping.network import SkippingNetwork, skip

__all__ = [
    "Cut",
    "Saved",
    "SkippingNetwork",
    "check_ending",
    "cut",
    "relative_error",
    "skip",
]
