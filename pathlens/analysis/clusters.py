"""Clusters of image paths: groups of images that are routed alike, beside their classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.drawing import empty_figure, heat_map, house_style, new_figure
from pathlens.analysis.results import Result, join_notes, plural
from pathlens.analysis.source import (
    Bits,
    Floats,
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
from pathlens.analysis.statistics import label_agreement
from pathlens.layers import LayerSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLUSTERS = 30
# Clusters below this share of the images are odd ones out; a cut needs two above it.
SMALLEST_SHARE = 0.01


@dataclass(frozen=True)
class PathClusters(Result):
    """Images clustered by their paths.

    Attributes:
        frame: A row an image: image, label (position among the classes, -1 if unknown), cluster
            (from 1, the largest first).
        scores: A row a measure (AMI, ARI): measure, value, null_mean and null_95 (mean and 95 %
            quantile under permuted labels), p (share of permutations that reach the value, the
            observed one counted in). Empty where classes are unknown or there is only one.
        table: Clusters × classes: numbers of images. No columns where classes are unknown.
        silhouette: Mean silhouette of the chosen cut, -1 to 1; not a number where all
            images have the same path.
        by: "label", "prediction" (true classes unknown) or "" (neither is known).
        dynamic: Number of dynamic filters among the images looked at.
        permutations: Number of permuted labellings behind the null.
        title: The layers, in words.
        left_out: Images that were not looked at, and classes that are unknown.
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

    def summary(self) -> str:
        """Number of clusters and their agreement with the classes, beside permuted labels."""
        images = plural(len(self.frame), "image")
        if not self.dynamic:
            return f"{images} of {self.title} share one path: there are no clusters to find."
        text = (
            f"The paths of {images} in {self.title} fall into "
            f"{plural(self.frame['cluster'].nunique(), 'cluster')} (silhouette "
            f"{self.silhouette:.2f})"
        )
        if self.scores.empty:
            reason = "all are of one class" if self.by else "classes are unknown"
            return f"{text}; {reason}, so that there is nothing to compare them with."
        ami, ari = self.scores.itertuples()
        return (
            f"{text}; they agree with the {'true' if self.by == 'label' else 'predicted'} classes "
            f"with AMI {ami.value:.2f} and ARI {ari.value:.2f} (permuted labels reach "
            f"{ami.null_95:.2f} and {ari.null_95:.2f} in one of 20 cases; p = {ami.p:.3g} "
            f"and {ari.p:.3g})."
        )

    def plot(self) -> Figure:
        """Heat map of clusters against classes: shade = share of the cluster, number = images."""
        title = f"Clusters of paths in {self.title}"
        if not self.table.shape[1]:
            return empty_figure(title, self.summary())
        sizes = self.table.sum(axis=1)
        rows = [f"cluster {i}  ({size:,})" for i, size in sizes.items()]
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
    seed: int = 0,
    max_images: int = 2000,
    permutations: int = 200,
) -> PathClusters:
    """Cluster images by their paths and compare the clusters with the classes.

    Average linkage on the Hamming distance over dynamic filters. Of all cuts into 2 to 30 clusters
    the one with the highest mean silhouette (Rousseeuw 1987) is taken, among those with at least two
    clusters of 1 % of the images or more: else cuts that only split off single odd images often win.

    Args:
        data: A recording.
        layer: Number, name or glob; None for the whole network.
        seed: Seed of the sample of images and of the permutations.
        max_images: Images looked at, at most; time and memory grow with its square.
        permutations: Number of permuted labellings that make up the null.

    Raises:
        PathLensError: If a layer is unknown or the recording holds no images.
    """
    layers = choose_layers(data, layer)
    rows, unseen = sample_rows(require_images(data), max_images, seed)
    bits = gather_bits(data, layers, rows)
    bits = bits[:, dynamic_columns(bits)]
    clusters, silhouette = cluster_bits(bits)
    groups = grouping(data)
    frame = pd.DataFrame(
        {
            "image": data.images["image"].to_numpy()[rows],
            "label": codes_of(data, "label", rows),
            "cluster": clusters,
        }
    )
    notes = [unseen, "" if groups else "classes (neither labels nor predictions are known)"]
    if groups and groups.by == "prediction":
        notes.append("true classes (unknown: the predicted ones stand in)")
    return PathClusters(
        frame=frame,
        scores=_scores(clusters, groups, rows, seed, permutations),
        table=_table(clusters, groups, rows),
        silhouette=silhouette,
        by=groups.by if groups else "",
        dynamic=bits.shape[1],
        permutations=permutations,
        title=describe_layers(data, layers),
        left_out=join_notes(notes),
    )


def cluster_bits(bits: Bits) -> tuple[Ints, float]:
    """Cluster of each path (from 1, the largest first) and the silhouette of the chosen cut.

    Args:
        bits: bool (paths, dynamic filters).
    """
    if not bits.shape[1]:
        return np.ones(len(bits), dtype=np.int64), float("nan")
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    distances = hamming_counts(bits).astype(np.float64) / bits.shape[1]
    tree = hierarchy.linkage(squareform(distances, checks=False), "average")
    cuts = [
        np.asarray(hierarchy.fcluster(tree, count, "maxclust"), dtype=np.int64) - 1
        for count in range(2, min(MOST_CLUSTERS, len(bits)) + 1)
    ]
    useful = [cut for cut in cuts if _large_clusters(cut) > 1]
    cuts = useful or cuts
    scores = _silhouettes(distances, cuts)
    best = int(np.argmax(scores))
    return _largest_first(cuts[best]), scores[best]


def _large_clusters(cut: Ints) -> int:
    return int((np.bincount(cut) >= SMALLEST_SHARE * len(cut)).sum())


def _silhouettes(distances: Floats, cuts: list[Ints]) -> list[float]:
    """Mean silhouette for each of nested cuts of one tree, the finest last."""
    finest = cuts[-1]
    member = np.eye(finest.max() + 1)[finest]
    sums = distances @ member
    scores = []
    for cut in cuts:
        # Every cluster of a coarser cut is a union of the finest ones.
        parent = np.zeros(member.shape[1], dtype=np.int64)
        parent[finest] = cut
        scores.append(_mean_silhouette(sums @ np.eye(cut.max() + 1)[parent], cut))
    return scores


def _mean_silhouette(sums: Floats, cut: Ints) -> float:
    """Mean silhouette of one cut, from the summed distances of each path to each cluster."""
    sizes = np.bincount(cut)
    if len(sizes) < 2:
        return -1.0
    rows = np.arange(len(cut))
    own = sums[rows, cut] / np.maximum(sizes[cut] - 1, 1)
    others = sums / sizes
    others[rows, cut] = np.inf
    nearest = others.min(axis=1)
    value = (nearest - own) / np.maximum(np.maximum(nearest, own), np.finfo(float).tiny)
    value[sizes[cut] == 1] = 0.0
    return float(value.mean())


def _largest_first(cut: Ints) -> Ints:
    """Number clusters from 1 by falling size; ties keep the order of their first image."""
    _, first, sizes = np.unique(cut, return_index=True, return_counts=True)
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(1, len(sizes) + 1)
    return rank[cut]


def _scores(
    clusters: Ints, groups: Grouping | None, rows: Ints, seed: int, permutations: int
) -> pd.DataFrame:
    columns = ["measure", "value", "null_mean", "null_95", "p"]
    known = groups.codes[rows] >= 0 if groups else np.zeros(len(rows), dtype=np.bool_)
    if groups is None or len(np.unique(groups.codes[rows][known])) < 2:
        return pd.DataFrame(columns=columns)
    found = label_agreement(clusters[known], groups.codes[rows][known], seed, permutations)
    return pd.DataFrame(
        [
            {
                "measure": measure,
                "value": value,
                "null_mean": float(null.mean()) if len(null) else float("nan"),
                "null_95": float(np.quantile(null, 0.95)) if len(null) else float("nan"),
                "p": (1 + int((null >= value - 1e-12).sum())) / (1 + len(null)),
            }
            for measure, (value, null) in found.items()
        ],
        columns=columns,
    )


def _table(clusters: Ints, groups: Grouping | None, rows: Ints) -> pd.DataFrame:
    index = pd.RangeIndex(1, int(clusters.max()) + 1, name="cluster")
    if groups is None:
        return pd.DataFrame(index=index)
    codes = groups.codes[rows]
    counts = np.zeros((len(index), len(groups.names)), dtype=np.int64)
    np.add.at(counts, (clusters[codes >= 0] - 1, codes[codes >= 0]), 1)
    table = pd.DataFrame(counts, index=index, columns=list(groups.names))
    return table[[name for name, size in zip(table, counts.sum(axis=0), strict=True) if size]]
