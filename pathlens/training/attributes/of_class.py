"""The class as attribute, as published: class purity of paths on training images is circular."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathlens.datasets.base import ImageSplit
from pathlens.training.attributes.base import AttributeValues


@dataclass(frozen=True)
class ClassAttribute:
    """The label."""

    def of(self, split: ImageSplit) -> AttributeValues:
        """The labels of a labelled split."""
        assert split.labels is not None  # only labelled splits are trained on
        return AttributeValues(np.asarray(split.labels, dtype=np.int64), len(split.classes))
