"""Methods that cluster paths. One method a file: a frozen dataclass and a line here."""

from __future__ import annotations

from pathlens.analysis.clustering.methods.agglomerative import Agglomerative
from pathlens.analysis.clustering.methods.base import ClusterMethod, Cut
from pathlens.analysis.clustering.methods.hdbscan import HDBSCAN
from pathlens.errors import unknown

__all__ = ["HDBSCAN", "METHODS", "Agglomerative", "ClusterMethod", "Cut", "cluster_method"]

METHODS: dict[str, ClusterMethod] = {"agglomerative": Agglomerative(), "hdbscan": HDBSCAN()}
"""The methods by the name that `path_clusters` takes, with their default settings."""


def cluster_method(name: str) -> ClusterMethod:
    """The method of that name.

    Raises:
        PathLensError: If there is none.
    """
    if name not in METHODS:
        raise unknown("cluster method", name, METHODS)
    return METHODS[name]
