"""The instance as attribute: which image it is, up to a lot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathlens.datasets.base import ImageSplit
from pathlens.training.attributes.base import AttributeValues, checked


@dataclass(frozen=True)
class InstanceAttribute:
    """The number of one of several buckets of equal size, into which images are put by lot.

    A classifier over all images has as many rows as there are images; this one has at most `buckets`.
    With no more images than buckets every image has its own. The lot knows nothing of what is to be
    seen, so a path predicts the bucket of its image only by telling single images apart, and what is
    learnt says nothing about other images: it is memory of the training images, log(buckets) nats at
    most, and small where images are many.

    Attributes:
        buckets: Number of buckets at most.
        seed: Decides the lot.
    """

    buckets: int = 1024
    seed: int = 0

    def of(self, split: ImageSplit) -> AttributeValues:
        """The bucket of every image; the same for the same split and seed."""
        count = min(len(split), self.buckets)
        lot = np.random.default_rng(self.seed).permutation(len(split))
        return checked(AttributeValues(lot.astype(np.int64) % count, count), "The instance")
