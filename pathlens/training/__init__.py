"""The training room: the loop, recipes and checkpoints."""

from pathlens.training.api import train
from pathlens.training.interrupt import InterruptedTraining
from pathlens.training.loading import LoadedRun, load, load_run
from pathlens.training.recipe import Recipe, load_recipe, shipped_recipes

__all__ = [
    "InterruptedTraining",
    "LoadedRun",
    "Recipe",
    "load",
    "load_recipe",
    "load_run",
    "shipped_recipes",
    "train",
]
