"""Clusters of image paths: groups of images that are routed alike, beside their classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.baselines import OWN, matched
from pathlens.analysis.clustering.cluster_scores import agreement_rows
from pathlens.analysis.clustering.methods import Cut, cluster_method
from pathlens.analysis.drawing import empty_figure, heat_map, house_style, new_figure
from pathlens.analysis.results import Result, join_notes, plural
from pathlens.analysis.source import (
    Bits,
    Grouping,
    Ints,
    PathData,
    choose_layers,
    codes_of,
    describe_layers,
    dynamic_columns,
    gather_bits,
    grouping,
    hamming_counts,
    require_images,
    sample_rows,
)
from pathlens.layers import Layer, LayerSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class PathClusters(Result):
    """Images clustered by their paths.

    Attributes:
        frame: A row an image: image, label (position among the classes, -1 if unknown), cluster
            (from 1, the largest first; 0 for noise).
        scores: A row a code and measure (AMI, ARI, purity): code ("paths" for these clusters, else
            the name of a baseline, which is clustered by itself), measure, value, null_mean and
            null_95 (mean and 95 % quantile under permuted labels), p (share of permutations that
            reach the value, the observed one counted in), clusters (their number for that code),
            noise (its images that are in none, which count as one more cluster). Empty where classes
            are unknown or there is only one.
        table: Clusters × classes: numbers of images; noise is the last row, 0. No columns where
            classes are unknown.
        silhouette: Mean silhouette of the images in clusters, -1 to 1; not a number where there are
            not two clusters.
        by: "label", "prediction" (true classes unknown) or "" (neither is known).
        dynamic: Number of dynamic filters among the images looked at.
        permutations: Number of permuted labellings behind the null.
        title: The layers, in words.
        left_out: Images that were not looked at, and classes that are unknown.
        method: Name of the method.
        criterion: How the number of clusters came about, in words; never by classes.
        layers: The layers whose gates were compared.
    """

    frame: pd.DataFrame = field(repr=False)
    scores: pd.DataFrame
    table: pd.DataFrame = field(repr=False)
    silhouette: float
    by: str
    dynamic: int
    permutations: int
    title: str
    left_out: str
    method: str
    criterion: str
    layers: tuple[Layer, ...] = field(repr=False)

    @property
    def noise(self) -> int:
        """Number of images that are in no cluster."""
        return int((self.frame["cluster"] == 0).sum())

    def summary(self) -> str:
        """Number of clusters and their agreement with the classes, beside null and baselines."""
        images = plural(len(self.frame), "image")
        if not self.dynamic:
            return f"{images} of {self.title} share one path: there are no clusters to find."
        text = self._found(images)
        if self.scores.empty:
            reason = "all are of one class" if self.by else "classes are unknown"
            return f"{text}; {reason}, so that there is nothing to compare them with."
        own = self.scores[self.scores["code"] == OWN]
        values = _and_list(f"{x.measure} {x.value:.2f}" for x in own.itertuples())
        null = _and_list(f"{x.null_95:.2f}" for x in own.itertuples())
        p = _and_list(dict.fromkeys(f"{x.p:.3g}" for x in own.itertuples()))
        return (
            f"{text}; they agree with the {'true' if self.by == 'label' else 'predicted'} classes "
            f"with {values} (permuted labels reach {null} in one of 20 cases; p = {p})."
            f"{self._beside()}"
        )

    def _found(self, images: str) -> str:
        count = int(self.frame["cluster"].max())
        silhouette = "" if np.isnan(self.silhouette) else f"silhouette {self.silhouette:.2f}, "
        noise = f" and {plural(self.noise, 'image')} of noise" * bool(self.noise)
        return (
            f"The paths of {images} in {self.title} fall into {plural(count, 'cluster')}{noise} "
            f"({silhouette}{self.criterion})"
        )

    def _beside(self) -> str:
        """What the baselines reach, as a sentence; nothing without them."""
        rows = self.scores[(self.scores["code"] != OWN) & (self.scores["measure"] == "AMI")]
        if rows.empty:
            return ""
        reached = _and_list(
            f"{x.value:.2f} ({x.code}, {plural(int(str(x.clusters)), 'cluster')})"
            for x in rows.itertuples()
        )
        return f" Baselines reach an AMI of {reached}."

    def plot(self) -> Figure:
        """Heat map of clusters against classes: shade = share of the cluster, number = images."""
        title = f"Clusters of paths in {self.title}"
        if not self.table.shape[1]:
            return empty_figure(title, self.summary())
        sizes = self.table.sum(axis=1)
        rows = [
            f"cluster {i}  ({size:,})" if i else f"noise  ({size:,})" for i, size in sizes.items()
        ]
        columns = [str(name) for name in self.table.columns]
        notes = self.table.map(lambda count: f"{count}" if count else "").to_numpy()
        with house_style():
            figure = new_figure(
                min(11.0, 3.0 + 0.45 * len(columns)), min(9.0, 1.9 + 0.3 * len(rows))
            )
            axes = figure.add_subplot()
            heat_map(
                axes,
                self.table.div(sizes.clip(lower=1), axis=0),
                rows=rows,
                columns=columns,
                notes=notes if len(columns) <= 24 else None,
                legend="share of the cluster",
            )
            named = "" if self.by == "label" else " (classes as predicted)"
            figure.suptitle(f"{title}{named}", x=0.01, ha="left", size=10, weight="bold")
        return figure


def path_clusters(
    data: PathData,
    layer: LayerSpec | None = None,
    *,
    method: str = "agglomerative",
    clusters: int | None = None,
    baselines: Mapping[str, PathData] | None = None,
    seed: int = 0,
    max_images: int = 2000,
    permutations: int = 200,
) -> PathClusters:
    """Cluster images by their paths and compare the clusters with the classes.

    The distance is the share of dynamic filters in which two paths differ. Every image counts, so that
    a path weighs as much as it has images. Classes play no part in the clustering or the number of
    clusters; they may in the paths, where the network was trained to tell them.

    Args:
        data: A recording.
        layer: Number, name or glob; None for the whole network.
        method: "agglomerative" or "hdbscan", as `cluster_methods` describes them.
        clusters: Their number, for all codes; None for the method's own criterion.
        baselines: Recordings of the same images by name; each is clustered in the same way, and its
            agreement with the classes stands in `scores` beside that of the paths.
        seed: Seed of the sample of images and of the permutations.
        max_images: Images looked at, at most; time and memory grow with its square.
        permutations: Number of permuted labellings that make up the null.

    Raises:
        PathLensError: If a layer or the method is unknown, the method cannot make so many clusters, a
            baseline does not fit, or the recording holds no images.
    """
    layers = choose_layers(data, layer)
    rows, unseen = sample_rows(require_images(data), max_images, seed)
    groups = grouping(data)
    labels = groups.codes[rows] if groups else np.full(len(rows), -1, dtype=np.int64)
    codes = {
        code: gather_bits(source, layers, rows) for code, source in matched(data, baselines).items()
    }
    cuts = {code: cluster_bits(bits, method, clusters) for code, bits in codes.items()}
    scores = [
        agreement_rows(code, cut.clusters, labels, seed, permutations) for code, cut in cuts.items()
    ]
    frame = pd.DataFrame(
        {
            "image": data.images["image"].to_numpy()[rows],
            "label": codes_of(data, "label", rows),
            "cluster": cuts[OWN].clusters,
        }
    )
    return PathClusters(
        frame=frame,
        scores=pd.concat(scores, ignore_index=True),
        table=_table(cuts[OWN].clusters, groups, labels),
        silhouette=cuts[OWN].silhouette,
        by=groups.by if groups else "",
        dynamic=int(dynamic_columns(codes[OWN]).sum()),
        permutations=permutations,
        title=describe_layers(data, layers),
        left_out=join_notes([unseen, _unknown(groups)]),
        method=method,
        criterion=cuts[OWN].criterion,
        layers=tuple(layers),
    )


def cluster_bits(bits: Bits, method: str = "agglomerative", clusters: int | None = None) -> Cut:
    """Cluster paths by the share of dynamic filters in which they differ.

    Args:
        bits: bool (images, filters); filters that are constant do not count.
        method: "agglomerative" or "hdbscan".
        clusters: Their number; None for the method's own criterion.

    Raises:
        PathLensError: If the method is unknown or cannot make so many clusters.
    """
    chosen = cluster_method(method)
    dynamic = bits[:, dynamic_columns(bits)]
    if not dynamic.shape[1]:
        return Cut(np.ones(len(bits), dtype=np.int64), float("nan"), "all paths are the same")
    return chosen.cut(hamming_counts(dynamic).astype(np.float64) / dynamic.shape[1], clusters)


def _and_list(parts: Iterable[str]) -> str:
    """Parts as a sentence lists them: "a, b and c"."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def _unknown(groups: Grouping | None) -> str:
    """Which classes are unknown, in words."""
    if groups is None:
        return "classes (neither labels nor predictions are known)"
    if groups.by == "prediction":
        return "true classes (unknown: the predicted ones stand in)"
    return ""


def _table(clusters: Ints, groups: Grouping | None, labels: Ints) -> pd.DataFrame:
    noise = [0] if (clusters == 0).any() else []
    index = pd.Index([*range(1, int(clusters.max()) + 1), *noise], name="cluster")
    if groups is None:
        return pd.DataFrame(index=index)
    known = labels >= 0
    counts = np.zeros((int(clusters.max()) + 1, len(groups.names)), dtype=np.int64)
    np.add.at(counts, (clusters[known], labels[known]), 1)
    table = pd.DataFrame(counts, columns=list(groups.names)).loc[index].set_axis(index)
    return table.loc[:, (table > 0).any(axis=0).to_numpy()]
