"""What every attribute of the auxiliary classifiers gives: a value for every training image."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pathlens.datasets.base import ImageSplit
from pathlens.decoupling.losses.mutual_information import UNKNOWN
from pathlens.errors import PathLensError


@dataclass(frozen=True)
class AttributeValues:
    """The attribute of every image of a split.

    Attributes:
        values: int64 (images,), from 0 to count - 1; -100 where the attribute of an image is unknown.
        count: Number of values that the attribute can take.
    """

    values: npt.NDArray[np.int64]
    count: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the number of values and the value of every image, as hexadecimal digits."""
        digest = hashlib.sha256(f"{self.count}\n".encode())
        digest.update(np.ascontiguousarray(self.values, dtype="<i8").tobytes())
        return digest.hexdigest()


class Attribute(Protocol):
    """An attribute of images."""

    def of(self, split: ImageSplit) -> AttributeValues:
        """Its value for every image of a split.

        Raises:
            PathLensError: If what says so is missing or does not fit the images.
        """
        ...


def checked(found: AttributeValues, what: str) -> AttributeValues:
    """The values, if there is something to tell apart.

    Raises:
        PathLensError: If all images that have a value have the same, or none has one.
    """
    differing = np.unique(found.values[found.values != UNKNOWN])
    if len(differing) < 2:
        raise PathLensError(
            f"{what} is {'unknown' if not len(differing) else 'the same'} for all training images: "
            "choose another attribute in the recipe."
        )
    return found
