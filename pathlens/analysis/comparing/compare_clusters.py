"""Whether the same images fall into the same clusters in two recordings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pathlens.analysis.clustering.clusters import path_clusters
from pathlens.analysis.comparing.compare_views import Common
from pathlens.analysis.results import join_notes
from pathlens.analysis.statistics import label_agreement

FEWEST_IMAGES = 20


@dataclass(frozen=True)
class ClusterTables:
    """Clusters of the same images in two recordings.

    Attributes:
        clusters: A row a pair of clusters that share images: cluster_a, cluster_b, images.
        scores: A row a measure, AMI and ARI; empty where there are no two clusters.
        left_out: Why clusters could not be compared, or images that were not looked at.
    """

    clusters: pd.DataFrame = field(repr=False)
    scores: pd.DataFrame = field(repr=False)
    left_out: str


def compare_clusters(common: Common, permutations: int, seed: int) -> ClusterTables:
    """Cluster the same images by their paths in both, and see how far the clusters agree."""
    if not common.paired:
        return ClusterTables(pd.DataFrame(), pd.DataFrame(), "")
    if len(common.a.images) < FEWEST_IMAGES:
        note = f"clusters (fewer than {FEWEST_IMAGES} images are in both)"
        return ClusterTables(pd.DataFrame(), pd.DataFrame(), note)
    # The same seed draws the same sample of as many images.
    a, b = path_clusters(common.a, seed=seed), path_clusters(common.b, seed=seed)
    merged = a.frame[["image", "cluster"]].merge(
        b.frame[["image", "cluster"]], on="image", suffixes=("_a", "_b")
    )
    table = merged.groupby(["cluster_a", "cluster_b"]).size().rename("images").reset_index()
    sampled = len(merged) < len(common.a.images)
    notes = [
        f"images beyond {len(merged):,} from the clusters, by seed" if sampled else "",
    ]
    if min(merged["cluster_a"].nunique(), merged["cluster_b"].nunique()) < 2:
        notes.append("agreement of clusters (all paths are alike in one of the two)")
        return ClusterTables(table, pd.DataFrame(), join_notes(notes))
    return ClusterTables(table, _scores(merged, permutations, seed), join_notes(notes))


def _scores(merged: pd.DataFrame, permutations: int, seed: int) -> pd.DataFrame:
    left = merged["cluster_a"].to_numpy(dtype=np.int64)
    right = merged["cluster_b"].to_numpy(dtype=np.int64)
    rows = [
        {
            "measure": f"clusters ({measure})",
            "value": value,
            "null_95": float(np.quantile(null, 0.95)),
            "p": (1 + int((null >= value - 1e-12).sum())) / (1 + len(null)),
        }
        for measure, (value, null) in label_agreement(left, right, seed, permutations).items()
    ]
    return pd.DataFrame(rows)
