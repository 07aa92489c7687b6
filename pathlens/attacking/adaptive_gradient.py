"""PGD that fools a network and keeps a detector's score under its threshold.

Two forms: a weighted sum of both losses, the weight searched for each image (as Carlini & Wagner,
arXiv 1608.04644, search theirs; on detectors: arXiv 1705.07263), and orthogonal projection
(Bryniarski, Hingun, Pachuca, Wang & Carlini, arXiv 2106.15023).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pathlens.attacking.alteration import Altered, Clean, Kind, Networks, number
from pathlens.attacking.attacks import check_box, check_count
from pathlens.attacking.directions import orthogonal, weighted
from pathlens.attacking.draws import in_box
from pathlens.attacking.rounding import rounded_within_box
from pathlens.attacking.watching import Pull, Verdict, Watched
from pathlens.detection.saving import SavedDetector

_FACTOR = 4.0
"""By which a weight grows or shrinks until it is known to be too large or too small."""

Pulls = Callable[[Tensor, Tensor], Pull]


class Guarded:
    """An attack that knows a fitted detector beside its settings, which are plain values."""

    guard: SavedDetector
    by_library: ClassVar[bool] = False

    def _remember(self, guard: SavedDetector) -> None:
        # Attacks are frozen, and their fields are what the folder's plan holds.
        object.__setattr__(self, "guard", guard)


@dataclass(frozen=True)
class AdaptiveGradient(Guarded):
    """PGD against a network and a detector at once.

    It ends where an 8-bit image is misclassified and not flagged, as network and detector in numpy
    see it with hard gates. Where there is none, the misclassified one with the lowest score is kept.

    Attributes:
        known: The detector that is followed, with its threshold; not part of the settings.
        epsilon: L-inf radius, of images in [0, 1].
        name: What is evaded, as the label has it.
        threshold: Score of the detector above which an image is flagged.
        fingerprint: SHA-256 of the fitted detector.
        form: "sum": up CE - weight * max(score - threshold, 0). "orthogonal": up or down one of
            the two, at right angles to the other.
        steps: Steps from each start.
        runs: Random starts at most, until an image evades both; of form "sum" each has another weight.
        first_weight: The weight of the detector in the first run; 0 stays 0, which is PGD on the
            network alone.
        relative_step: A step's length is this times epsilon / steps.
    """

    known: InitVar[SavedDetector]
    epsilon: float
    name: str
    threshold: float
    fingerprint: str
    form: Literal["sum", "orthogonal"] = "sum"
    steps: int = 20
    runs: int = 5
    first_weight: float = 1.0
    relative_step: float = 2.5
    norm: Literal["linf"] = "linf"
    kind: Kind = "attack"

    def __post_init__(self, known: SavedDetector) -> None:
        self._remember(known)
        check_box(self.epsilon)
        check_count("steps", self.steps)
        check_count("runs", self.runs)

    @property
    def label(self) -> str:
        """As "adaptive-8-likelihood" or "adaptive-8-likelihood-orthogonal"."""
        form = "" if self.form == "sum" else f"-{self.form}"
        return f"adaptive-{number(self.epsilon * 255)}-{self.name}{form}"

    def alter(self, clean: Clean, networks: Networks) -> Altered:
        """See `Alteration.alter`."""
        images, labels = networks.inputs(clean)
        pulls = Watched(networks.victim, images[:1]).pulls(self.guard)
        judge = Watched(networks.judge, images[:1])
        best, weights = Best(clean.pixels), Weights(len(clean), self.first_weight)
        queries = torch.zeros(len(clean), dtype=torch.int64)
        for run in range(self.runs):
            rows = best.flagged(self.threshold)
            if not len(rows):
                break
            fooled = np.zeros(len(clean), dtype=bool)
            now = self._start(clean, rows, run, images)
            for _ in range(self.steps):
                pull = pulls(now, labels[rows])
                now = self.step(pull, now, images[rows], torch.from_numpy(weights.now[rows]))
                pixels = rounded_within_box(now, clean.pixels[rows], self.epsilon)
                verdict = judge.verdict(self.guard, pixels, networks.batch_size)
                fooled[rows] |= best.offer(rows, pixels, verdict, clean.labels[rows])
                queries[rows] += 2
                left = np.isin(rows, best.flagged(self.threshold))
                rows, now = rows[left], now[torch.from_numpy(left)]
                if not len(rows):
                    break
            weights.learn(rows, fooled[rows])
        return Altered(best.pixels, queries)

    def _start(self, clean: Clean, rows: npt.NDArray[np.int64], run: int, images: Tensor) -> Tensor:
        """Images of some rows, each at a random place in its box."""
        generators = clean.generators(f"start {run}")
        start = in_box([generators[row] for row in rows], clean.pixels.shape[1:], self.epsilon)
        return torch.clamp(images[rows] + start.to(images.device), 0, 1)

    def step(self, pull: Pull, now: Tensor, images: Tensor, weights: Tensor) -> Tensor:
        """The images after one more step, float32 (N, 3, H, W) in [0, 1].

        Args:
            pull: The gradients at `now`.
            now: Where the images are, (N, 3, H, W).
            images: Clean ones, (N, 3, H, W) in [0, 1].
            weights: Weight of the detector in each image's sum, (N,); of no meaning otherwise.
        """
        low = (images - self.epsilon).clamp_min(0)
        high = (images + self.epsilon).clamp_max(1)
        return torch.clamp(now + self._change(pull, weights.to(images)), low, high)

    def _change(self, pull: Pull, weights: Tensor) -> Tensor:
        length = self.relative_step * self.epsilon / self.steps
        if self.form == "sum":
            return length * weighted(pull, weights, self.threshold).sign()
        # A sign would not be orthogonal any more; the step has the length of one of signs.
        direction = orthogonal(pull)
        return length * math.sqrt(direction[0].numel()) * direction


class Best:
    """The best 8-bit image of each so far: misclassified, and then with the lowest score.

    Args:
        pixels: uint8 (N, 3, H, W), clean images; an image that never fools is the last offered.
    """

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels.clone()
        self._suspicion = np.full(len(pixels), np.inf)
        self._fooled = np.zeros(len(pixels), dtype=bool)

    def flagged(self, threshold: float) -> npt.NDArray[np.int64]:
        """Rows that do not fool the network yet, or are flagged."""
        return np.flatnonzero(~self._fooled | (self._suspicion > threshold)).astype(np.int64)

    def offer(
        self, rows: npt.NDArray[np.int64], pixels: Tensor, verdict: Verdict, labels: Tensor
    ) -> npt.NDArray[np.bool_]:
        """Keep those images of some rows that are better; returns which are misclassified."""
        fooled: npt.NDArray[np.bool_] = (verdict.predicted != labels).numpy()
        lower = verdict.suspicion < self._suspicion[rows]
        better = np.where(self._fooled[rows], fooled & lower, True)
        taken = rows[better]
        self.pixels[taken] = pixels[better]
        self._fooled[taken] |= fooled[better]
        self._suspicion[taken] = np.where(fooled, verdict.suspicion, np.inf)[better]
        return fooled


class Weights:
    """The weight of the detector for each image: a first one, then up, down or between.

    Args:
        count: Number of images.
        first: The first weight; 0 stays 0.
    """

    def __init__(self, count: int, first: float) -> None:
        self.now = np.full(count, first)
        self._low = np.zeros(count)
        self._high = np.full(count, np.inf)

    def learn(self, rows: npt.NDArray[np.int64], fooled: npt.NDArray[np.bool_]) -> None:
        """Next weights of images that do not evade yet: larger if they fooled, else smaller."""
        now = self.now[rows]
        self._low[rows] = low = np.where(fooled, now, self._low[rows])
        self._high[rows] = high = np.where(fooled, self._high[rows], now)
        up, down = low * _FACTOR, high / _FACTOR
        between = np.sqrt(low * np.where(np.isinf(high), 0.0, high))
        self.now[rows] = np.where(np.isinf(high), up, np.where(low == 0, down, between))
