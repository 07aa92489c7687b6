"""Compare two recordings: which filters changed, which classes moved, which clusters stayed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.comparing.compare_classes import compare_classes
from pathlens.analysis.comparing.compare_clusters import compare_clusters
from pathlens.analysis.comparing.compare_filters import LEVEL, compare_filters
from pathlens.analysis.comparing.compare_views import in_common
from pathlens.analysis.results import Result, join_notes, plural
from pathlens.analysis.source import PathData
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 0.5


@dataclass(frozen=True)
class Comparison(Result):
    """Two recordings, A and B, held against each other.

    Filters of the same number can mean the same only where both networks came from the same start
    weights: networks of different seeds number theirs at random. `own_best` shows how far they
    correspond. Classes and clusters are compared whatever filters are called.

    Attributes:
        frame: A row a shared layer: layer (as A numbers it), name, filters, states_changed and
            rates_changed (numbers of filters; rates after correction), mean_difference (mean of
            |rate B - rate A|); and over the same images: equal (share of gates that are equal),
            expected (the same, if gates were independent with the rates that they have), kappa
            ((equal - expected) / (1 - expected), Cohen 1960), same_vector (share of images whose whole
            gate vector is equal), matchable (filters that are dynamic in both), own_best (share of
            them whose gate in A has the highest phi with the gate of the same number in B),
            own_best_chance (1 / matchable).
        filters: A row a filter: layer, name, filter, rate_a, rate_b, difference (B - A) with low and
            high (95 % interval), only_a and only_b (images with the gate on in one only), phi (of the
            gate in A and in B), p (exact McNemar test where images are shared, else Fisher's exact
            test, two-sided), state_a, state_b, changed, p_corrected (Holm over all filters).
        classes: A row a shared class: class, images_a, images_b, rate_change (mean over dynamic
            filters of |rate B - rate A| within the class), rate_chance (the same if only chance made
            rates differ), row_correlation (of its similarities to the other classes in A with those
            in B), nearest_a, nearest_b (the most similar class).
        clusters: A row a pair of clusters that share images: cluster_a, cluster_b, images.
        scores: A row a measure: measure (class similarity, by Mantel's test; AMI and ARI of clusters),
            value, null_95 (95 % quantile under permutation), p.
        images: Number of shared images; 0 where there are none.
        images_a: Number of images of A that were looked at.
        images_b: Number of images of B that were looked at.
        left_out: What could not be compared.
    """

    frame: pd.DataFrame
    filters: pd.DataFrame = field(repr=False)
    classes: pd.DataFrame = field(repr=False)
    clusters: pd.DataFrame = field(repr=False)
    scores: pd.DataFrame
    images: int
    images_a: int
    images_b: int
    left_out: str

    def summary(self) -> str:
        """Filters, classes and clusters, each beside its chance."""
        parts = [self._of_filters(), self._of_scores()]
        return " ".join(part for part in parts if part)

    def _of_filters(self) -> str:
        if self.filters.empty:
            return "A and B have no layer in common, so that only classes and clusters compare."
        changed = int(self.filters["changed"].sum())
        rates = int((self.filters["p_corrected"] < LEVEL).sum())
        images = (
            f"the same {plural(self.images, 'image')}"
            if self.images
            else f"{self.images_a:,} and {plural(self.images_b, 'different image')}"
        )
        text = (
            f"Over {images}, {changed:,} of {plural(len(self.filters), 'filter')} in "
            f"{plural(len(self.frame), 'layer')} have another state in B than in A and {rates:,} "
            f"another rate (Holm, {LEVEL:.0%})"
        )
        return f"{text}; {self._of_gates()}." if self.images else f"{text}."

    def _of_gates(self) -> str:
        equal, expected = (np.average(self.frame[x], weights=self.frame["filters"]) for x in _EQUAL)
        text = f"{equal:.1%} of gates are equal ({expected:.1%} expected from the rates alone)"
        share, chance = (_mean_share(self.frame, name) for name in ("own_best", "own_best_chance"))
        if np.isnan(share):
            return text
        fit = f"{share:.0%} of filters go best with their own number ({chance:.0%} by chance)"
        if share > _MOST:
            return f"{text}, and {fit}"
        return f"{text}, but only {fit}: most do not correspond, and their changes mean little"

    def _of_scores(self) -> str:
        if self.scores.empty:
            return ""
        parts = [
            f"{row.measure} {row.value:.2f} ({row.null_95:.2f} at most in 19 of 20 permutations, "
            f"p = {row.p:.3g})"
            for row in self.scores.itertuples()
        ]
        return f"Agreement of A and B: {'; '.join(parts)}."

    def plot(self) -> Figure:
        """Agreement over depth, rates of filters, and how far each class moved."""
        from pathlens.analysis.comparing.compare_drawing import draw_comparison

        return draw_comparison(self)


_EQUAL = ("equal", "expected")


def _mean_share(frame: pd.DataFrame, column: str) -> float:
    """Mean over filters that can be matched; not a number where there is none."""
    known = frame[frame[column].notna()]
    weights = known["matchable"].to_numpy(dtype=np.float64)
    return float(np.average(known[column], weights=weights)) if weights.sum() else float("nan")


def compare(
    a: PathData,
    b: PathData,
    *,
    layers: Iterable[LayerSpec] | None = None,
    seed: int = 0,
    permutations: int = 999,
) -> Comparison:
    """Hold two recordings against each other: checkpoints, seeds or data sets.

    Layers are the same if name and number of filters are. Where images are shared, only those are
    looked at, and paired; their classes are those of A.

    Args:
        a: A recording.
        b: Another one.
        layers: Layers by number, name or glob, of both; all for None.
        seed: Seed of permutations and of the sample of images that are clustered.
        permutations: Number of permutations behind the scores.

    Raises:
        PathLensError: If a recording is empty, a layer is unknown, or the two share neither layers nor
            enough classes nor images.
    """
    if permutations < 1:
        raise PathLensError(f"permutations is {permutations}: give at least 1.")
    common = in_common(a, b, layers)
    tables = compare_filters(common)
    classes = compare_classes(common, permutations, seed)
    clusters = compare_clusters(common, permutations, seed)
    if tables.filters.empty and classes.scores.empty and clusters.clusters.empty:
        raise PathLensError(
            "The two recordings have nothing in common that could be compared, neither layers nor "
            "images nor four classes: record the same data, or the same network."
        )
    scores = [part for part in (classes.scores, clusters.scores) if not part.empty]
    return Comparison(
        frame=tables.layers,
        filters=tables.filters,
        classes=classes.classes,
        clusters=clusters.clusters,
        scores=pd.concat(scores, ignore_index=True) if scores else pd.DataFrame(),
        images=len(common.a.images) if common.paired else 0,
        images_a=len(common.a.images),
        images_b=len(common.b.images),
        left_out=join_notes([common.left_out, classes.left_out, clusters.left_out]),
    )
