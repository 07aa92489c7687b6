"""Cluster cards: what is in a cluster, what is typical of it, what is odd, and what marks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.clustering.card_drawing import draw_cards
from pathlens.analysis.clustering.clusters import PathClusters
from pathlens.analysis.results import Result, join_notes, plural
from pathlens.analysis.source import (
    Bits,
    Floats,
    Ints,
    PathData,
    dynamic_columns,
    gather_bits,
    grouping,
    hamming_counts,
)
from pathlens.errors import PathLensError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ClusterCards(Result):
    """A card for each cluster of a result of `path_clusters`; noise has none.

    Attributes:
        frame: A row a cluster: cluster, images, share (of the images looked at), within (mean share of
            dynamic filters in which two of its images differ), silhouette (mean), majority (its
            commonest class; "" if unknown), majority_share (of its images with a known class; not a
            number if unknown), classes (its commonest classes with shares, as text).
        images: A row a cluster, role and rank: cluster, role, rank (from 1), image, position (in the
            recording), class (name, "" if unknown), value. Role "typical": least mean distance to the
            cluster's images (value), its medoids. Role "odd": largest mean distance to the own cluster
            over that to the nearest other one (value; above 1 it lies nearer to the other). Role "other
            class": of another class than the majority, the most typical first (value as for typical).
        filters: A row a cluster and rank: cluster, rank, layer (number), name, filter, inside, outside
            (its rate among the images in the cluster and among all others), difference. There is no p:
            the clusters were made from these very bits, so that any p would be circular.
        pictures: Bytes of the thumbnails by image; empty where the recording has none.
        title: The layers, in words.
        left_out: What is missing.
    """

    frame: pd.DataFrame
    images: pd.DataFrame = field(repr=False)
    filters: pd.DataFrame = field(repr=False)
    pictures: Mapping[str, bytes] = field(repr=False)
    title: str
    left_out: str

    def summary(self) -> str:
        """Number of clusters, what the largest holds, and the filter that marks it most."""
        if self.frame.empty:
            return f"There are no clusters of paths in {self.title} to make cards of."
        first = self.frame.iloc[0]
        text = (
            f"{plural(len(self.frame), 'cluster')} of paths in {self.title}; the largest holds "
            f"{plural(int(first['images']), 'image')}"
        )
        if first["majority"]:
            text += f", {first['majority_share']:.0%} of them {first['majority']}"
        if self.filters.empty:
            return f"{text}."
        mark = self.filters.iloc[0]
        return (
            f"{text}, and filter {mark['filter']} of layer {mark['layer']} marks it most (on for "
            f"{mark['inside']:.0%} inside, {mark['outside']:.0%} outside; no test, as the clusters "
            "were made from these bits)."
        )

    def plot(self) -> Figure:
        """The largest clusters, a row each: facts, typical images, odd ones out."""
        return draw_cards(
            self.frame, self.images, self.filters, self.pictures, self.title, self.summary()
        )


def cluster_cards(
    data: PathData, result: PathClusters, *, typical: int = 6, odd: int = 4, filters: int = 5
) -> ClusterCards:
    """Describe each cluster by its images, its odd ones out, its classes and its filters.

    Distances are Hamming distances over the dynamic filters that were clustered, as a share of them.

    Args:
        data: The recording that was clustered.
        result: What `path_clusters` gave for it.
        typical: Typical images a cluster, at most.
        odd: Odd ones out a cluster, at most, and as many images of other classes.
        filters: Filters a cluster, at most.

    Raises:
        PathLensError: If the recording lacks images or layers of the result.
    """
    rows = _positions(data, result)
    bits = gather_bits(data, result.layers, rows)
    dynamic = dynamic_columns(bits)
    members = _Members.of(bits[:, dynamic], result.frame["cluster"].to_numpy(dtype=np.int64))
    names = _class_of(data, rows)
    counts = {"typical": typical, "odd": odd, "other class": odd}
    images = _images(members, names, counts)
    images["position"] = rows[images["position"].to_numpy(dtype=np.int64)]
    images.insert(3, "image", data.images["image"].to_numpy()[images["position"]])
    pictures = _pictures(data, images)
    notes = [
        result.left_out,
        f"{plural(result.noise, 'image')} of noise" * bool(result.noise),
        "" if pictures else "pictures (the recording has no thumbnails)",
    ]
    return ClusterCards(
        frame=_facts(members, names),
        images=images,
        filters=_filters(bits, dynamic, members.clusters, result, filters),
        pictures=pictures,
        title=result.title,
        left_out=join_notes(notes),
    )


@dataclass(frozen=True)
class _Members:
    """Images of the clusters and how far they are from each.

    Attributes:
        clusters: int64 (images,), from 1; 0 for noise.
        apart: float64 (images, clusters), mean distance to the *other* images of each cluster.
    """

    clusters: Ints
    apart: Floats

    @classmethod
    def of(cls, bits: Bits, clusters: Ints) -> _Members:
        """Distances from dynamic filters, bool (images, filters)."""
        member = (clusters[:, None] == np.arange(1, clusters.max(initial=0) + 1)).astype(np.float64)
        sums = hamming_counts(bits).astype(np.float64) @ member / max(bits.shape[1], 1)
        return cls(clusters, sums / np.maximum(member.sum(axis=0) - member, 1))

    def own(self) -> Floats:
        """Mean distance of each image in a cluster to the other images of it; 0 for noise."""
        with_noise = np.hstack([np.zeros((len(self.apart), 1)), self.apart])
        return np.asarray(with_noise[np.arange(len(with_noise)), self.clusters])

    def next(self) -> Floats:
        """Mean distance of each image to the nearest cluster that is not its own."""
        others = np.hstack([np.full((len(self.apart), 1), np.inf), self.apart])
        others[np.arange(len(others)), self.clusters] = np.inf
        return np.asarray(others.min(axis=1))


def _positions(data: PathData, result: PathClusters) -> Ints:
    found = pd.Index(data.images["image"]).get_indexer(pd.Index(result.frame["image"]))
    known = {layer.name: layer.filters for layer in data.layers}
    if (found < 0).any() or any(known.get(x.name) != x.filters for x in result.layers):
        raise PathLensError(
            "The recording lacks images or layers of the clusters: give the one they were made from."
        )
    return np.asarray(found, dtype=np.int64)


def _class_of(data: PathData, rows: Ints) -> pd.Series[str]:
    """Name of the class of each image, "" where unknown."""
    groups = grouping(data)
    if groups is None:
        return pd.Series([""] * len(rows), dtype=object)
    return pd.Series([groups.names[code] if code >= 0 else "" for code in groups.codes[rows]])


def _facts(members: _Members, names: pd.Series[str]) -> pd.DataFrame:
    own, following = members.own(), members.next()
    larger = np.maximum(np.maximum(own, following), np.finfo(float).tiny)
    silhouette = (following - own) / larger if members.apart.shape[1] > 1 else own * np.nan
    rows = []
    for cluster in range(1, members.apart.shape[1] + 1):
        inside = members.clusters == cluster
        counts = names[inside & (names != "")].value_counts()
        shares = counts / max(int(counts.sum()), 1)
        rows.append(
            {
                "cluster": cluster,
                "images": int(inside.sum()),
                "share": float(inside.mean()),
                "within": float(own[inside].mean()),
                "silhouette": float(silhouette[inside].mean()) if inside.sum() > 1 else 0.0,
                "majority": str(counts.index[0]) if len(counts) else "",
                "majority_share": float(shares.iloc[0]) if len(counts) else float("nan"),
                "classes": ", ".join(f"{name} {share:.0%}" for name, share in shares[:3].items()),
            }
        )
    columns = [
        "cluster", "images", "share", "within", "silhouette", "majority", "majority_share", "classes"
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _images(members: _Members, names: pd.Series[str], counts: Mapping[str, int]) -> pd.DataFrame:
    """Chosen images of all clusters; `position` counts the images looked at."""
    own, following = members.own(), members.next()
    ratio = own / np.maximum(following, np.finfo(float).tiny)
    rows = []
    for cluster in range(1, members.apart.shape[1] + 1):
        inside = np.flatnonzero(members.clusters == cluster)
        central = inside[np.argsort(own[inside], kind="stable")]
        ranked = {
            "typical": (central, own),
            "odd": (inside[np.argsort(-ratio[inside], kind="stable")], ratio),
            "other class": (central[_other_class(names.iloc[central])], own),
        }
        for role, (order, value) in ranked.items():
            rows += [
                (cluster, role, rank, int(place), names.iloc[place], float(value[place]))
                for rank, place in enumerate(order[: counts[role]], start=1)
            ]
    return pd.DataFrame(rows, columns=["cluster", "role", "rank", "position", "class", "value"])


def _other_class(names: pd.Series[str]) -> Bits:
    """Which images are of a known class that is not the commonest."""
    known = names[names != ""]
    majority = known.value_counts().index[0] if len(known) else ""
    return ((names != "") & (names != majority)).to_numpy(dtype=np.bool_)


def _filters(
    bits: Bits, dynamic: Bits, clusters: Ints, result: PathClusters, most: int
) -> pd.DataFrame:
    """The filters whose rate inside each cluster differs most from that outside of it."""
    layer = [x for x in result.layers for _ in range(x.filters)]
    number = [i for x in result.layers for i in range(x.filters)]
    rows = []
    for cluster in range(1, int(clusters.max(initial=0)) + 1):
        inside = clusters == cluster
        if inside.all():
            continue
        rates = bits[inside].mean(axis=0), bits[~inside].mean(axis=0)
        difference = rates[0] - rates[1]
        order = np.argsort(-np.abs(difference), kind="stable")
        order = order[dynamic[order] & (difference[order] != 0)][:most]
        rows += [
            (cluster, rank, layer[i].index, layer[i].name, number[i], rates[0][i], rates[1][i])
            for rank, i in enumerate(order, start=1)
        ]
    columns = ["cluster", "rank", "layer", "name", "filter", "inside", "outside"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(difference=frame["inside"] - frame["outside"])


def _pictures(data: PathData, images: pd.DataFrame) -> dict[str, bytes]:
    """Thumbnails of the chosen images, where the recording has them."""
    read = getattr(data, "thumbnails", None)
    if read is None or images.empty:
        return {}
    chosen = images.drop_duplicates("image")
    found = read(chosen["position"].to_numpy(dtype=np.int64))
    return {str(i): picture for i, picture in zip(chosen["image"], found, strict=True) if picture}
