"""A concept as attribute: whether an image has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathlens.concepts import concept_matrix, read_concepts
from pathlens.datasets.base import ImageSplit
from pathlens.decoupling.losses.mutual_information import UNKNOWN
from pathlens.errors import PathLensError, unknown
from pathlens.training.attributes.base import AttributeValues, checked


@dataclass(frozen=True)
class ConceptAttribute:
    """One concept of a concept file: 1 where its value is 0.5 or more, 0 where it is less.

    Images that the file does not name are unknown and left out of the loss.

    Attributes:
        name: The concept.
        table: The concept file (`pathlens.concepts`); "" for the concepts that the data set knows.
    """

    name: str
    table: str = ""

    def of(self, split: ImageSplit) -> AttributeValues:
        """Whether each image has the concept.

        Raises:
            PathLensError: If there are no concepts, none of this name, or none of these images is
                named.
        """
        concepts = read_concepts(self.table) if self.table else split.concepts
        if concepts is None:
            raise PathLensError(
                "The data set knows no concepts of its images: give a concept file as "
                "attribute_table in the recipe."
            )
        matrix, known = concept_matrix(concepts, split.ids)
        if self.name not in matrix:
            raise unknown("concept", self.name, matrix.columns)
        has = matrix[self.name].to_numpy() >= 0.5
        values = np.where(known, has.astype(np.int64), UNKNOWN)
        return checked(AttributeValues(values, 2), f"The concept '{self.name}'")
