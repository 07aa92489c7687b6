"""The sections of the report, one file a question, in the order of the page."""

from __future__ import annotations

from typing import Any

from pathlens.reporting.sections.associations import AssociationTable
from pathlens.reporting.sections.base import Section
from pathlens.reporting.sections.classes import Classes
from pathlens.reporting.sections.clusters import Clusters
from pathlens.reporting.sections.maps import Maps
from pathlens.reporting.sections.states import States

SECTIONS: tuple[Section[Any], ...] = (
    States(),
    Classes(),
    Clusters(),
    Maps(),
    AssociationTable(),
)
