"""Figures as files, pixels and vectors, fit for a paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pathlens.reporting.collect import Findings
from pathlens.reporting.sections.base import Gap

FORMATS = ("png", "svg")


def figures_of(findings: Findings) -> Iterator[tuple[str, Any]]:
    """File name without ending and result, for every result that is there."""
    for _, named in findings.results():
        if not isinstance(named.result, Gap):
            yield named.file, named.result


def write_figures(findings: Findings, folder: Path, *, step: Callable[[str], None]) -> None:
    """Draw every result and save it as PNG and SVG, the same bytes for the same findings."""
    from pathlens.analysis.drawing import figure_bytes

    folder.mkdir()
    for name, result in figures_of(findings):
        step(f"figure {name}")
        figure = result.plot()
        # Laid out once for both files, which is much of the time that a figure takes.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for ending in FORMATS:
            (folder / f"{name}.{ending}").write_bytes(figure_bytes(figure, ending))
