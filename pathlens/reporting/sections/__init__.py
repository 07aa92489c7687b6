"""The sections of the report, one file a question, in the order of the page."""

from __future__ import annotations

from typing import Any

from pathlens.reporting.sections.ablations import Ablated
from pathlens.reporting.sections.associations import AssociationTable
from pathlens.reporting.sections.base import Section
from pathlens.reporting.sections.classes import Classes
from pathlens.reporting.sections.clusters import Clusters
from pathlens.reporting.sections.examples import ExplainedImages
from pathlens.reporting.sections.hierarchy import Hierarchy
from pathlens.reporting.sections.information import Information
from pathlens.reporting.sections.maps import Maps
from pathlens.reporting.sections.states import States
from pathlens.reporting.sections.swaps import Swaps
from pathlens.reporting.sections.traces import Traces

SECTIONS: tuple[Section[Any], ...] = (
    ExplainedImages(),
    Swaps(),
    Ablated(),
    States(),
    Classes(),
    Hierarchy(),
    Clusters(),
    Maps(),
    Information(),
    Traces(),
    AssociationTable(),
)
