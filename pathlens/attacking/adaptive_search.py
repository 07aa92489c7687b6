"""A random search against a network and a detector of which only scores are known."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pathlens.attacking.adaptive_gradient import Guarded
from pathlens.attacking.alteration import Altered, Clean, Kind, Networks, number
from pathlens.attacking.attacks import check_box, check_count
from pathlens.attacking.rounding import rounded_within_box
from pathlens.attacking.square import margin, square_search
from pathlens.attacking.watching import Watched
from pathlens.detection.saving import SavedDetector


@dataclass(frozen=True)
class AdaptiveSearch(Guarded):
    """Square attack (arXiv 1912.00049) on the sum of what is left to do: to fool, and to hide.

    What is left to fool is the true class's margin over its margin on the clean image; what is left
    to hide is the score's excess over its threshold, over how far the clean image is from that.

    Attributes:
        known: The detector, with its threshold; not part of the settings.
        epsilon: L-inf radius, of images in [0, 1].
        name: What is evaded, as the label has it.
        threshold: Score of the detector above which an image is flagged.
        fingerprint: SHA-256 of the fitted detector.
        queries: At most so many scores an image are asked for.
        share: Share of an image's pixels in a square at first.
    """

    known: InitVar[SavedDetector]
    epsilon: float
    name: str
    threshold: float
    fingerprint: str
    queries: int = 1000
    share: float = 0.8
    norm: Literal["linf"] = "linf"
    kind: Kind = "attack"

    def __post_init__(self, known: SavedDetector) -> None:
        self._remember(known)
        check_box(self.epsilon)
        check_count("queries", self.queries)

    @property
    def label(self) -> str:
        """As "adaptive-8-forest-search"."""
        return f"adaptive-{number(self.epsilon * 255)}-{self.name}-search"

    def alter(self, clean: Clean, networks: Networks) -> Altered:
        """See `Alteration.alter`."""
        images, _ = networks.inputs(clean)
        watched = Watched(networks.judge, images[:1])
        rest = _Rest(self, watched, clean, networks.batch_size)

        def loss(tried: Tensor, rows: Tensor) -> Tensor:
            pixels = rounded_within_box(tried, clean.pixels[rows], self.epsilon)
            return rest(pixels, rows).to(images.device)

        found, queries = square_search(
            loss,
            images,
            self.epsilon,
            queries=self.queries,
            share=self.share,
            generators=clean.generators("square"),
        )
        return Altered(rounded_within_box(found, clean.pixels, self.epsilon), queries)


class _Rest:
    """What is left to do for 8-bit images of some rows, (n,); -1 where nothing is."""

    def __init__(
        self, attack: AdaptiveSearch, watched: Watched, clean: Clean, batch_size: int
    ) -> None:
        self._attack, self._watched, self._batch_size = attack, watched, batch_size
        self._labels = clean.labels
        margins, excess = self._both(clean.pixels, torch.arange(len(clean)))
        self._margins = margins.abs().clamp_min(1e-6)
        self._excess = np.maximum(np.abs(excess), 1e-6)

    def _both(self, pixels: Tensor, rows: Tensor) -> tuple[Tensor, np.ndarray]:
        verdict = self._watched.verdict(self._attack.guard, pixels, self._batch_size)
        return (
            margin(verdict.scores, self._labels[rows]),
            verdict.suspicion - self._attack.threshold,
        )

    def __call__(self, pixels: Tensor, rows: Tensor) -> Tensor:
        margins, excess = self._both(pixels, rows)
        to_hide = torch.from_numpy(np.maximum(excess, 0) / self._excess[rows.numpy()])
        rest = margins.clamp_min(0) / self._margins[rows] + to_hide.float()
        done = (margins < 0) & torch.from_numpy(excess <= 0)
        return torch.where(done, -1.0, rest)
