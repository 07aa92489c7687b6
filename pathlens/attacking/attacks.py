"""The attacks, each a frozen dataclass of its settings; the registry says how they are called.

L-inf radii are floats in [0, 1] here and multiples of 1/255 in labels: `FastGradient(8 / 255)` is
"fgsm-8". L2 radii are the same in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pathlens.attacking import library
from pathlens.attacking.alteration import Altered, Clean, Kind, Networks, number
from pathlens.attacking.classifier import in_unit_range
from pathlens.attacking.draws import in_ball, in_box
from pathlens.attacking.rounding import enlarged, rounded_within_ball, rounded_within_box
from pathlens.attacking.square import margin, square_search
from pathlens.errors import PathLensError

_KIND: Kind = "attack"


@dataclass(frozen=True)
class FastGradient:
    """FGSM: one step along the sign of the gradient (arXiv 1412.6572).

    Attributes:
        epsilon: L-inf radius, of images in [0, 1].
    """

    epsilon: float
    norm: Literal["linf"] = "linf"
    kind: Kind = _KIND
    by_library: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_box(self.epsilon)

    @property
    def label(self) -> str:
        """As "fgsm-8"."""
        return f"fgsm-{number(self.epsilon * 255)}"

    def alter(self, clean: Clean, networks: Networks) -> Altered:
        """See `Alteration.alter`."""
        images, labels = networks.inputs(clean)
        found = library.fast_gradient(networks.victim, images, labels, self.epsilon)
        pixels = rounded_within_box(found, clean.pixels, self.epsilon)
        return Altered(pixels, torch.ones(len(clean), dtype=torch.int64))


@dataclass(frozen=True)
class ProjectedGradient:
    """PGD from random starts (arXiv 1706.06083).

    Attributes:
        norm: Norm of the ball.
        epsilon: Its radius, of images in [0, 1].
        steps: Steps from each start.
        relative_step: A step's length is this times epsilon / steps.
        restarts: Starts; of each image the first that fools is kept, else the last.
    """

    norm: Literal["linf", "l2"]
    epsilon: float
    steps: int = 20
    relative_step: float = 2.5
    restarts: int = 1
    kind: Kind = _KIND
    by_library: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_box(self.epsilon) if self.norm == "linf" else check_ball(self.epsilon)
        check_count("steps", self.steps)
        check_count("restarts", self.restarts)

    @property
    def label(self) -> str:
        """As "pgd-linf-8" or "pgd-l2-0.5"."""
        scale = 255 if self.norm == "linf" else 1
        return f"pgd-{self.norm}-{number(self.epsilon * scale)}"

    def alter(self, clean: Clean, networks: Networks) -> Altered:
        """See `Alteration.alter`."""
        pixels = clean.pixels.clone()
        queries = torch.zeros(len(clean), dtype=torch.int64)
        left = torch.arange(len(clean))
        for restart in range(self.restarts):
            part = Clean(
                clean.pixels[left],
                clean.labels[left],
                tuple(clean.ids[i] for i in left.tolist()),
                clean.seed,
            )
            pixels[left] = self._from_one_start(part, networks, restart)
            queries[left] += self.steps
            left = left[~networks.fooled(pixels[left], part.labels)]
            if not len(left):
                break
        return Altered(pixels, queries)

    def _from_one_start(self, clean: Clean, networks: Networks, restart: int) -> Tensor:
        images, labels = networks.inputs(clean)
        draw = in_box if self.norm == "linf" else in_ball
        start = draw(clean.generators(f"start {restart}"), images.shape[1:], self.epsilon)
        found = library.projected_gradient(
            networks.victim,
            images,
            labels,
            norm=self.norm,
            epsilon=self.epsilon,
            steps=self.steps,
            step_size=self.relative_step * self.epsilon / self.steps,
            start=start.to(images.device),
        )
        to_8_bits = rounded_within_box if self.norm == "linf" else rounded_within_ball
        return to_8_bits(found, clean.pixels, self.epsilon)


@dataclass(frozen=True)
class DeepFool:
    """DeepFool, L2 (arXiv 1511.04599), its change enlarged until it survives 8 bits.

    Attributes:
        steps: At most so many linearisations.
        candidates: Classes of which the nearest boundary is looked for.
        overshoot: Share by which it steps over the boundary.
    """

    steps: int = 20
    candidates: int = 10
    overshoot: float = 0.02
    norm: Literal["l2"] = "l2"
    epsilon: None = None
    kind: Kind = _KIND
    by_library: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_count("candidates", self.candidates, least=2)

    @property
    def label(self) -> str:
        """Always "deepfool"."""
        return "deepfool"

    def alter(self, clean: Clean, networks: Networks) -> Altered:
        """See `Alteration.alter`."""
        images, labels = networks.inputs(clean)
        found = library.deepfool(
            networks.victim,
            images,
            labels,
            steps=self.steps,
            candidates=self.candidates,
            overshoot=self.overshoot,
        )
        return _enlarged(found, clean, networks, self.steps * (self.candidates - 1))


@dataclass(frozen=True)
class CarliniWagner:
    """Carlini & Wagner, L2 (arXiv 1608.04644), its change enlarged until it survives 8 bits.

    Attributes:
        searches: Steps of the binary search for the weight.
        steps: Adam steps in each.
        step_size: Adam's learning rate.
        first_weight: The weight that the search begins with.
        confidence: By how much another class's score must be above the true one's.
    """

    searches: int = 4
    steps: int = 100
    step_size: float = 0.01
    first_weight: float = 1.0
    confidence: float = 0.0
    norm: Literal["l2"] = "l2"
    epsilon: None = None
    kind: Kind = _KIND
    by_library: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count("searches", self.searches)
        check_count("steps", self.steps)

    @property
    def label(self) -> str:
        """As "cw-l2", with the confidence where there is one: "cw-l2-5"."""
        return "cw-l2" + (f"-{number(self.confidence)}" if self.confidence else "")

    def alter(self, clean: Clean, networks: Networks) -> Altered:
        """See `Alteration.alter`."""
        images, labels = networks.inputs(clean)
        found = library.carlini_wagner(
            networks.victim,
            images,
            labels,
            searches=self.searches,
            steps=self.steps,
            step_size=self.step_size,
            first_weight=self.first_weight,
            confidence=self.confidence,
        )
        return _enlarged(found, clean, networks, self.searches * self.steps)


@dataclass(frozen=True)
class Square:
    """Square attack, L-inf (arXiv 1912.00049): scores only, no gradient, so hard gates are asked.

    Attributes:
        epsilon: L-inf radius, of images in [0, 1].
        queries: At most so many scores an image are asked for.
        share: Share of an image's pixels in a square at first.
    """

    epsilon: float
    queries: int = 1000
    share: float = 0.8
    norm: Literal["linf"] = "linf"
    kind: Kind = _KIND
    by_library: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_box(self.epsilon)
        check_count("queries", self.queries)

    @property
    def label(self) -> str:
        """As "square-8"."""
        return f"square-{number(self.epsilon * 255)}"

    def alter(self, clean: Clean, networks: Networks) -> Altered:
        """See `Alteration.alter`."""
        images, labels = networks.inputs(clean)
        asked = networks.victim.hardened()

        @torch.no_grad()
        def loss(tried: Tensor, rows: Tensor) -> Tensor:
            # The image that is kept has 8 bits, so the search sees no others.
            bounded = rounded_within_box(tried, clean.pixels[rows], self.epsilon)
            scores = asked(in_unit_range(bounded.to(images.device)))
            return margin(scores, labels[rows.to(labels.device)])

        found, queries = square_search(
            loss,
            images,
            self.epsilon,
            queries=self.queries,
            share=self.share,
            generators=clean.generators("square"),
        )
        return Altered(rounded_within_box(found, clean.pixels, self.epsilon), queries)


def _enlarged(found: Tensor, clean: Clean, networks: Networks, queries: int) -> Altered:
    pixels = enlarged(
        found, clean.pixels, lambda tried, rows: networks.fooled(tried, clean.labels[rows])
    )
    return Altered(pixels, torch.full((len(clean),), queries, dtype=torch.int64))


def check_box(epsilon: float) -> None:
    """Refuse an L-inf radius that images in [0, 1] cannot have."""
    if not 0 <= epsilon <= 1:
        raise PathLensError(
            f"An L-inf epsilon of {number(epsilon * 255)}/255 is out of range: give 0 to 255 in a "
            "label, 0 to 1 in Python."
        )
    if 0 < epsilon * 255 < 1 - 1e-9:
        raise PathLensError(
            f"An L-inf epsilon of {number(epsilon * 255)}/255 is less than a step of 8-bit images, "
            "which it would leave as they are: give at least 1/255."
        )


def check_ball(epsilon: float) -> None:
    """Refuse a negative or endless L2 radius."""
    if not 0 <= epsilon < float("inf"):
        raise PathLensError(f"An L2 epsilon of {number(epsilon)} is out of range: give 0 or more.")


def check_count(what: str, value: int, least: int = 1) -> None:
    """Refuse a number of steps or the like that does nothing."""
    if value < least:
        raise PathLensError(f"{what} is {value}: give at least {least}.")
