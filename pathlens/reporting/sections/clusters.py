"""Clusters of image paths against classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pathlens.reporting.encode import finite
from pathlens.reporting.sections.base import Columns, Context, PageImages, attempt, stacked
from pathlens.reporting.sections.by_layer import ByLayer, LayerSection

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import PathClusters
    from pathlens.layers import Layer


class Clusters(LayerSection):
    """Whether images that share paths share a class."""

    name = "clusters"
    kind = "clusters"
    one = "clusters"
    file = "clusters"
    columns: ClassVar[Columns] = {
        "clusters": ("layer", "image", "label", "cluster"),
        "cluster_scores": ("layer", "measure", "value", "null_mean", "null_95", "p"),
    }

    def look(self, context: Context, layer: Layer) -> Any:
        """Clusters of the layer's paths."""
        from pathlens.analysis import path_clusters

        return attempt(
            lambda: path_clusters(
                context.recording, layer.name, seed=context.seed, max_images=context.images
            )
        )

    def tables(self, found: ByLayer) -> dict[str, pd.DataFrame]:
        """Images with their clusters, and agreement with the classes."""
        return {
            "clusters": stacked(found.items()),
            "cluster_scores": stacked(found.items(), "scores"),
        }

    def drawn(self, result: PathClusters, page: PageImages) -> dict[str, Any]:
        """Counts of clusters by classes, the scores beside their null, and what the result says."""
        return {
            "names": [str(name) for name in result.table.columns],
            "clusters": [str(name) for name in result.table.index],
            "counts": result.table.to_numpy(dtype=int).tolist(),
            "scores": [
                {
                    key: finite(row[key], 4)
                    for key in ("measure", "value", "null_mean", "null_95", "p")
                }
                for row in result.scores.to_dict("records")
            ],
            "images": len(result.frame),
            "summary": result.summary(),
            "left_out": result.left_out,
        }
