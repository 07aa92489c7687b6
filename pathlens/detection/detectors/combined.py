"""Several detectors as one, put together from clean images alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.detection.detectors.base import Arrays, Detector, Fitted, require_fitting
from pathlens.detection.detectors.by_parts import fold_of
from pathlens.detection.detectors.mahalanobis import Mahalanobis
from pathlens.detection.detectors.neighbours import Neighbours
from pathlens.errors import PathLensError
from pathlens.layers import LayerTable

Rule = Literal["sum", "surprise"]


@dataclass(frozen=True, eq=False)
class FittedCombined:
    """What several fitted detectors say together.

    Attributes:
        members: The fitted detectors.
        rule: As `Combined` has it.
        clean: float64 (detectors, images), what each said of clean images, sorted.
    """

    members: tuple[Fitted, ...]
    rule: Rule
    clean: Floats = field(repr=False)

    @property
    def layers(self) -> LayerTable:
        """All layers that any of them looks at."""
        return max((member.layers for member in self.members), key=len)

    def score(self, data: DetectionData) -> Floats:
        """float64 (images,)."""
        scores = np.stack([member.score(data) for member in self.members])
        if self.rule == "sum":
            return np.asarray(standardised(scores, self.clean).sum(axis=0))
        each = [surprise(*pair) for pair in zip(scores, self.clean, strict=True)]
        return np.asarray(np.sum(each, axis=0))

    def by_layer(self, data: DetectionData) -> None:
        """None: not all of them look at layers."""
        return

    def to_arrays(self) -> Arrays:
        """The arrays of each, and its scores of clean images."""
        found = {"clean": self.clean}
        for place, member in enumerate(self.members):
            found |= {f"{place}.{key}": array for key, array in member.to_arrays().items()}
            found[f"{place}:layers"] = np.array(member.layers.names, dtype=np.str_)
        return found


def standardised(scores: Floats, clean: Floats) -> Floats:
    """Standard deviations above the mean of clean images, along the last axis."""
    spread = clean.std(axis=-1, keepdims=True)
    mean = clean.mean(axis=-1, keepdims=True)
    return np.asarray((scores - mean) / np.where(spread > 0, spread, 1.0))


def surprise(scores: Floats, clean: Floats) -> Floats:
    """- log of the two-sided empirical p value (nats), going on beyond the last clean image.

    Beyond the clean images, where all p values are alike, each standard deviation adds one nat.

    Args:
        scores: float64 (images,).
        clean: float64 (clean images,), sorted.
    """
    below = np.searchsorted(clean, scores, side="left")
    above = len(clean) - np.searchsorted(clean, scores, side="right")
    p = np.minimum(2 * (np.minimum(below, above) + 1) / (len(clean) + 1), 1.0)
    spread = float(clean.std()) or 1.0
    outside = np.maximum(scores - clean[-1], 0) + np.maximum(clean[0] - scores, 0)
    return np.asarray(-np.log(p) + outside / spread)


@dataclass(frozen=True)
class Combined:
    """A path detector together with the best baseline, no attacked image being needed.

    Attributes:
        members: The detectors.
        rule: "sum": of scores in standard deviations of clean images. "surprise": of - log p,
            two-sided, as Fisher (1925) combines tests: an image that is too sure counts as well.
    """

    members: tuple[Detector, ...] = (Neighbours(), Mahalanobis())
    rule: Rule = "sum"
    name: str = "combined"
    supervised: bool = False

    def fit(self, clean: DetectionData, attacked: DetectionData | None = None) -> FittedCombined:
        """Fit each, and measure what it says of clean images that it was not fitted on.

        Raises:
            PathLensError: If there are fewer than 4 images, a member is supervised, or what a member
                needs is missing.
        """
        require_fitting(clean)
        if any(member.supervised for member in self.members):
            raise PathLensError(
                f"The detector {self.name!r} is fitted on clean images alone and cannot hold one that "
                "learns from attacked images: combine detectors that need none."
            )
        found = []
        for member in self.members:
            scores = _cross_fitted(member, clean)
            found.append(np.sort(scores))
        members = tuple(member.fit(clean) for member in self.members)
        return FittedCombined(members, self.rule, np.stack(found))

    def from_arrays(
        self, layers: LayerTable, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> FittedCombined:
        """The inverse of `to_arrays`."""
        members = []
        for place, member in enumerate(self.members):
            own = LayerTable(layers.find(str(name)) for name in arrays[f"{place}:layers"])
            prefix = f"{place}."
            below = {k.removeprefix(prefix): x for k, x in arrays.items() if k.startswith(prefix)}
            members.append(member.from_arrays(own, below))
        return FittedCombined(tuple(members), self.rule, arrays["clean"])


def _cross_fitted(member: Detector, clean: DetectionData) -> Floats:
    """Scores of clean images by detectors fitted on the others; in sample where there are under 4."""
    if len(clean) < 4:
        return member.fit(clean).score(clean)
    folds = fold_of(clean.predictions, 2)
    found = np.empty(len(clean))
    for fold in range(2):
        held = folds == fold
        found[held] = member.fit(clean.take(~held)).score(clean.take(held))
    return found
