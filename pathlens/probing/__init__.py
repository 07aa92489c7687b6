"""The probing room: what needs the network again; writes tables beside the recording."""

from pathlens.analysis.measured.ablations import Ablations
from pathlens.analysis.measured.swaps import PathSwaps
from pathlens.probing.ablation import ablate
from pathlens.probing.combination_measures import measure_combinations
from pathlens.probing.examples import explained_examples
from pathlens.probing.explaining import Explainer, Explanation, explain
from pathlens.probing.mask_views import MaskFolder
from pathlens.probing.path_swap import path_swap
from pathlens.probing.response_maps import response_maps
from pathlens.probing.shortcut import find_shortcut
from pathlens.probing.signature import signature
from pathlens.probing.whole import probe

__all__ = [
    "Ablations",
    "Explainer",
    "Explanation",
    "MaskFolder",
    "PathSwaps",
    "ablate",
    "explain",
    "explained_examples",
    "find_shortcut",
    "measure_combinations",
    "path_swap",
    "probe",
    "response_maps",
    "signature",
]
