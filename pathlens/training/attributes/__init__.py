"""Attributes that the auxiliary classifiers read from the path: one file each."""

from __future__ import annotations

from collections.abc import Callable

from pathlens.datasets.base import ImageSplit
from pathlens.training.attributes.base import Attribute, AttributeValues
from pathlens.training.attributes.of_class import ClassAttribute
from pathlens.training.attributes.of_concept import ConceptAttribute
from pathlens.training.attributes.of_instance import InstanceAttribute
from pathlens.training.attributes.of_superclass import SuperclassAttribute
from pathlens.training.sections import Losses

__all__ = [
    "ATTRIBUTES",
    "Attribute",
    "AttributeValues",
    "ClassAttribute",
    "ConceptAttribute",
    "InstanceAttribute",
    "SuperclassAttribute",
    "attribute_values",
]

ATTRIBUTES: dict[str, Callable[[Losses, int], Attribute]] = {
    "class": lambda losses, seed: ClassAttribute(),
    "superclass": lambda losses, seed: SuperclassAttribute(
        losses.attribute_table, losses.attribute_name
    ),
    "concept": lambda losses, seed: ConceptAttribute(losses.attribute_name, losses.attribute_table),
    "instance": lambda losses, seed: InstanceAttribute(losses.attribute_buckets, seed),
}
"""By the name that a recipe gives, from the recipe's losses and the run's seed."""


def attribute_values(losses: Losses, split: ImageSplit, seed: int) -> AttributeValues | None:
    """The attribute that a recipe names, for every training image; None where no loss reads it.

    Raises:
        PathLensError: If what says so is missing or does not fit the images.
    """
    if not losses.mutual_information:
        return None
    return ATTRIBUTES[losses.attribute](losses, seed).of(split)
