"""The decoupling room: gating modules, semantic hashing, losses and the cost of a path."""

from pathlens.decoupling.constant import Constant
from pathlens.decoupling.cost import Cost
from pathlens.decoupling.gating import Gating, GatingModule
from pathlens.decoupling.hashing import GateMode, GumbelHashing, SemanticHashing
from pathlens.decoupling.layout import NotGated
from pathlens.decoupling.network import DecoupledNetwork, decouple
from pathlens.decoupling.path import Path
from pathlens.decoupling.response_start import start_from_responses
from pathlens.decoupling.top_k import TopK, density_for_macs, set_density

__all__ = [
    "Constant",
    "Cost",
    "DecoupledNetwork",
    "GateMode",
    "Gating",
    "GatingModule",
    "GumbelHashing",
    "NotGated",
    "Path",
    "SemanticHashing",
    "TopK",
    "decouple",
    "density_for_macs",
    "set_density",
    "start_from_responses",
]
