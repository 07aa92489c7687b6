"""The analysis room: what paths say, computed from a recording alone, without torch.

Every analysis is a function of a recording (and layers) that returns a small frozen result with
`.frame` (tidy table), `.plot()`, `.summary()` and `.left_out`.
"""

from pathlens.analysis.associating.association_table import Associations
from pathlens.analysis.associating.associations import associations
from pathlens.analysis.classes.class_hierarchies import cifar10_hierarchy
from pathlens.analysis.classes.class_paths import ClassPaths, class_paths
from pathlens.analysis.classes.hierarchy import HierarchyComparison, compare_with_hierarchy
from pathlens.analysis.clustering.cluster_cards import ClusterCards, cluster_cards
from pathlens.analysis.clustering.clusters import PathClusters, path_clusters
from pathlens.analysis.comparing.compare import Comparison, compare
from pathlens.analysis.information.filter_information import FilterInformation, filter_information
from pathlens.analysis.information.path_information import (
    PathInformation,
    information_over_depth,
    path_information,
)
from pathlens.analysis.mapping.maps import PathMap, path_map
from pathlens.analysis.measured.swaps import PathSwaps, path_swaps
from pathlens.analysis.source import PathData
from pathlens.analysis.states.class_states import ClassStates, class_states
from pathlens.analysis.states.filter_images import FilterImages, filter_images
from pathlens.analysis.states.filter_states import FilterStates, filter_states
from pathlens.analysis.states.state_curves import StateCurves, state_curves
from pathlens.analysis.tracing.trace import trace
from pathlens.analysis.tracing.trace_result import Trace

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
