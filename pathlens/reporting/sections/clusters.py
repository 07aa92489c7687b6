"""Clusters of image paths against classes, with a card for each cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pathlens.reporting.encode import finite
from pathlens.reporting.sections.base import (
    Columns,
    Context,
    Gap,
    Named,
    PageImages,
    attempt,
    layer_label,
    stacked,
)
from pathlens.reporting.sections.by_layer import ByLayer, LayerSection

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import ClusterCards, PathClusters
    from pathlens.layers import Layer

ROLES = {"typical": 5, "odd": 3}
"""Images of each role that a card of the page shows."""
CARDS = 12
"""Cards of a layer on the page, at most; the figures and tables have all."""


@dataclass(frozen=True)
class Clustered:
    """The clusters of a layer and their cards."""

    clusters: PathClusters
    cards: ClusterCards | Gap


class Clusters(LayerSection):
    """Whether images that share paths share a class."""

    name = "clusters"
    kind = "clusters"
    one = "clusters"
    file = "clusters"
    columns: ClassVar[Columns] = {
        "clusters": ("layer", "image", "label", "cluster"),
        "cluster_scores": (
            *("layer", "code", "measure", "value", "null_mean", "null_95", "p", "clusters"),
            "noise",
        ),
        "cluster_cards": (
            *("layer", "cluster", "images", "share", "within", "silhouette", "majority"),
            *("majority_share", "classes"),
        ),
    }

    def look(self, context: Context, layer: Layer) -> Any:
        """Clusters of the layer's paths, and their cards."""
        from pathlens.analysis import cluster_cards, path_clusters

        found = attempt(
            lambda: path_clusters(
                context.recording,
                layer.name,
                baselines=context.baselines,
                seed=context.seed,
                max_images=context.images,
            )
        )
        if isinstance(found, Gap):
            return found
        return Clustered(found, attempt(lambda: cluster_cards(context.recording, found)))

    def results(self, found: ByLayer) -> Iterator[Named]:
        """Clusters and cards of every layer."""
        for index, each in found.items():
            label = layer_label(index)
            gap = isinstance(each, Gap)
            yield Named(
                f"clusters, layer {index}", f"clusters_{label}", each if gap else each.clusters
            )
            if not gap:
                yield Named(f"cluster cards, layer {index}", f"cluster_cards_{label}", each.cards)

    def tables(self, found: ByLayer) -> dict[str, pd.DataFrame]:
        """Images with their clusters, agreement with the classes, and the cards."""
        known = [(index, each) for index, each in found.items() if not isinstance(each, Gap)]
        return {
            "clusters": stacked((index, each.clusters) for index, each in known),
            "cluster_scores": stacked(((i, each.clusters) for i, each in known), "scores"),
            "cluster_cards": stacked((index, each.cards) for index, each in known),
        }

    def images(self, found: ByLayer) -> Iterable[str]:
        """Those on the cards that the page shows."""
        for each in found.values():
            if not isinstance(each, Gap) and not isinstance(each.cards, Gap):
                yield from _shown(each.cards)["image"].astype(str)

    def drawn(self, result: Clustered, page: PageImages) -> dict[str, Any]:
        """Counts of clusters by classes, the scores beside null and baselines, and the cards."""
        clusters = result.clusters
        keys = ("code", "measure", "value", "null_mean", "null_95", "p", "clusters")
        return {
            "names": [str(name) for name in clusters.table.columns],
            "clusters": [int(number) for number in clusters.table.index],
            "counts": clusters.table.to_numpy(dtype=int).tolist(),
            "scores": [
                {key: finite(row[key], 4) for key in keys}
                for row in clusters.scores.to_dict("records")
            ],
            "images": len(clusters.frame),
            "summary": clusters.summary(),
            "left_out": clusters.left_out,
            "cards": [] if isinstance(result.cards, Gap) else _cards(result.cards, page),
        }


def _shown(cards: ClusterCards) -> pd.DataFrame:
    """The images of the page's cards."""
    kept = cards.frame["cluster"].head(CARDS)
    table = cards.images[cards.images["cluster"].isin(kept)]
    return table[table["rank"] <= table["role"].map(ROLES).fillna(0)]


def _cards(cards: ClusterCards, page: PageImages) -> list[dict[str, Any]]:
    shown, marks = _shown(cards), cards.filters
    return [
        {
            "cluster": int(row["cluster"]),
            "images": int(row["images"]),
            "within": finite(row["within"], 3),
            "silhouette": finite(row["silhouette"], 3),
            "classes": str(row["classes"]),
            "filters": [
                [int(x.filter), finite(x.inside, 2), finite(x.outside, 2)]
                for x in marks[marks["cluster"] == row["cluster"]].itertuples()
            ],
            **{
                role: page.known(
                    shown[(shown["cluster"] == row["cluster"]) & (shown["role"] == role)]["image"]
                )
                for role in ROLES
            },
        }
        for row in cards.frame.head(CARDS).to_dict("records")
    ]
