"""The analysis room: what paths say, computed from a recording alone, without torch.

Every analysis is a function of a recording (and layers) that returns a small frozen result with
`.frame` (tidy table), `.plot()`, `.summary()` and `.left_out`.
"""

from pathlens.analysis.association_table import Associations
from pathlens.analysis.associations import associations
from pathlens.analysis.class_hierarchies import cifar10_hierarchy
from pathlens.analysis.class_paths import ClassPaths, class_paths
from pathlens.analysis.class_states import ClassStates, class_states
from pathlens.analysis.cluster_cards import ClusterCards, cluster_cards
from pathlens.analysis.clusters import PathClusters, path_clusters
from pathlens.analysis.compare import Comparison, compare
from pathlens.analysis.filter_images import FilterImages, filter_images
from pathlens.analysis.hierarchy import HierarchyComparison, compare_with_hierarchy
from pathlens.analysis.information import FilterInformation, filter_information
from pathlens.analysis.maps import PathMap, path_map
from pathlens.analysis.path_information import (
    PathInformation,
    information_over_depth,
    path_information,
)
from pathlens.analysis.source import PathData
from pathlens.analysis.state_curves import StateCurves, state_curves
from pathlens.analysis.states import FilterStates, filter_states
from pathlens.analysis.swaps import PathSwaps, path_swaps
from pathlens.analysis.trace import trace
from pathlens.analysis.trace_result import Trace

__all__ = [
    "Associations",
    "ClassPaths",
    "ClassStates",
    "ClusterCards",
    "Comparison",
    "FilterImages",
    "FilterInformation",
    "FilterStates",
    "HierarchyComparison",
    "PathClusters",
    "PathData",
    "PathInformation",
    "PathMap",
    "PathSwaps",
    "StateCurves",
    "Trace",
    "associations",
    "cifar10_hierarchy",
    "class_paths",
    "class_states",
    "cluster_cards",
    "compare",
    "compare_with_hierarchy",
    "filter_images",
    "filter_information",
    "filter_states",
    "information_over_depth",
    "path_clusters",
    "path_information",
    "path_map",
    "path_swaps",
    "state_curves",
    "trace",
]
