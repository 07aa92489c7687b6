"""The analysis room: what paths say, computed from a recording alone, without torch.

Every analysis is a function of a recording (and layers) that returns a small frozen result with
`.frame` (tidy table), `.plot()`, `.summary()` and `.left_out`.
"""

from pathlens.analysis.association_table import Associations
from pathlens.analysis.associations import associations
from pathlens.analysis.class_paths import ClassPaths, class_paths
from pathlens.analysis.clusters import PathClusters, path_clusters
from pathlens.analysis.maps import PathMap, path_map
from pathlens.analysis.source import PathData
from pathlens.analysis.states import FilterStates, filter_states

__all__ = [
    "Associations",
    "ClassPaths",
    "FilterStates",
    "PathClusters",
    "PathData",
    "PathMap",
    "associations",
    "class_paths",
    "filter_states",
    "path_clusters",
    "path_map",
]
