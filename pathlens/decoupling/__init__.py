"""The decoupling room: gating modules, semantic hashing, losses and the cost of a path."""

from pathlens.decoupling.cost import Cost
from pathlens.decoupling.gating import Gating, GatingModule
from pathlens.decoupling.hashing import GateMode, SemanticHashing
from pathlens.decoupling.layout import NotGated
from pathlens.decoupling.network import DecoupledNetwork, decouple
from pathlens.decoupling.path import Path

__all__ = [
    "Cost",
    "DecoupledNetwork",
    "GateMode",
    "Gating",
    "GatingModule",
    "NotGated",
    "Path",
    "SemanticHashing",
    "decouple",
]
