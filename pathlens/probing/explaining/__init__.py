"""Explaining one image: its path, how typical that is, and what its decision rests on."""

from pathlens.probing.explaining.api import Explainer, explain
from pathlens.probing.explaining.explanation import Explanation

__all__ = ["Explainer", "Explanation", "explain"]
