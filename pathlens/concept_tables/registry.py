"""The sources of concept tables: a source is a file of this room and a line here."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pandas as pd

from pathlens.errors import unknown

SOURCES = ("masks", "boxes", "hierarchy", "attributes", "counts")
"""Names of the sources: `pathlens concepts build NAME`, `NAME.py`, and its function `build_NAME`."""


def builder(source: str) -> Callable[..., pd.DataFrame]:
    """The function that builds a concept table from a source; its file is imported now.

    Raises:
        PathLensError: If there is no such source.
    """
    if source not in SOURCES:
        raise unknown("source of concepts", source, SOURCES)
    module = importlib.import_module(f"pathlens.concept_tables.{source}")
    function: Callable[..., pd.DataFrame] = getattr(module, f"build_{source}")
    return function
