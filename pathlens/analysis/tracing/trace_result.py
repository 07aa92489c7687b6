"""What a trace says: its tables, its sentence, its drawing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from pathlens.analysis.baselines import OWN
from pathlens.analysis.results import Result, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVEL = 0.05


@dataclass(frozen=True)
class Trace(Result):
    """The filters that set a class apart, and which of them are on together.

    Filters are chosen on one half of the images; every number stands on the other half, unless it
    says otherwise. Links are co-activations within the class: they say that two gates go together,
    not that one causes the other. Only an ablation can show that (see `ablation`).

    Attributes:
        frame: A row a class and filter: class, layer (number), name, filter, rate_in (share of the
            class's images with the gate on), rate_out (the same for all other images), difference
            (rate_in - rate_out) with low and high (its 95 % interval), odds_ratio, phi, p (Fisher's
            exact test, two-sided), chosen_by (the difference on the other half), chosen (among the
            largest of its layer there), p_corrected (Holm over all filters of all layers and
            classes), shared (chosen for both classes, and their differences hold and have the same
            sign), ablation ("confirmed", "not confirmed" or "" where it was not ablated). For an
            image: only filters that are on for it.
        links: A row a pair of chosen filters of neighbouring layers: class, layer, filter,
            next_layer, next_filter, images (of the class, in the half), together (images with both
            on), expected (if the two were independent within the class), lift, phi, p (Fisher's
            exact test, one-sided), p_corrected (Holm over all pairs).
        scores: A row a code and class: code ("paths" or a baseline), class, filters and links
            (numbers that hold after correction), tested_filters, tested_links, top_difference
            (largest |difference| among chosen filters), chance_mean and chance_95 (the same under
            permuted labels, chosen and measured alike), p (share of permutations that reach it, the
            observed one counted in).
        classes: The class or the two classes; for an image the class it was predicted as.
        image: The image, or the empty string.
        by: "label" or "prediction", what classes are taken from.
        layers: Names of the layers, by their number.
        images: Number of images that were measured on.
        title: The layers, in words.
        left_out: What could not be used, and what the tests take for granted.
    """

    frame: pd.DataFrame = field(repr=False)
    links: pd.DataFrame = field(repr=False)
    scores: pd.DataFrame
    classes: tuple[str, ...]
    image: str
    by: str
    layers: dict[int, str] = field(repr=False)
    images: int
    title: str
    left_out: str

    def summary(self) -> str:
        """How many filters and links hold, and the largest difference beside chance."""
        if self.image:
            return self._of_image()
        own = self.scores[self.scores["code"] == OWN]
        text = "; ".join(self._of_class(row) for row in own.itertuples())
        tail = ""
        if len(self.classes) == 2:
            shared = self.frame.loc[self.frame["shared"], ["layer", "filter"]].drop_duplicates()
            tail = f" The two share {plural(len(shared), 'filter')} of those chosen."
        return (
            f"In {self.title}, {text} (Holm, {LEVEL:.0%}; tested on {plural(self.images, 'image')} "
            f"that had no part in the choice).{tail}"
        )

    def _of_class(self, row: Any) -> str:
        name = row[2]
        return (
            f"{row.filters:,} of {plural(row.tested_filters, 'filter')} differ in rate between "
            f"{name} and the rest, by {row.top_difference:.2f} at most (labels permuted: "
            f"{row.chance_95:.2f} in one of 20 cases), and {row.links:,} of "
            f"{plural(row.tested_links, 'pair')} of chosen filters in neighbouring layers are "
            f"co-activated within {name} beyond chance"
        )

    def _of_image(self) -> str:
        name, on = self.classes[0], len(self.frame)
        named = "predicted" if self.by == "prediction" else "labelled"
        text = f"{plural(on, 'filter')} in {self.title} are on for {self.image} ({named} as {name})"
        if not on:
            return f"{text}."
        rare = int((self.frame["rate_in"] < 0.5).sum())
        return (
            f"{text}; on average they are on for {self.frame['rate_in'].mean():.0%} of the images "
            f"of that class and for {self.frame['rate_out'].mean():.0%} of all others, and "
            f"{rare:,} of them for less than half of that class."
        )

    def plot(self) -> Figure:
        """A flow from input (left) to output (right): chosen filters, and links that hold."""
        from pathlens.analysis.tracing.trace_drawing import draw_trace

        return draw_trace(self, LEVEL)
