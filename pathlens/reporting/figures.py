"""Figures as files, pixels and vectors, fit for a paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pathlens.reporting.collect import Findings, Gap

FORMATS = ("png", "svg")


def figures_of(findings: Findings) -> Iterator[tuple[str, Any]]:
    """File name without ending and result, for every result that is there."""
    named: list[tuple[str, Any]] = [("filter_states", findings.states)]
    named.append(("class_paths_network", findings.network))
    for found in findings.layers:
        label = f"layer{found.layer.index:02d}"
        named.append((f"class_paths_{label}", found.class_paths))
        named.append((f"clusters_{label}", found.clusters))
        named.append((f"map_{label}", found.path_map))
    named.append(("associations", findings.associations))
    yield from ((name, result) for name, result in named if not isinstance(result, Gap))


def write_figures(findings: Findings, folder: Path, *, step: Callable[[str], None]) -> None:
    """Draw every result and save it as PNG and SVG, the same bytes for the same findings."""
    from pathlens.analysis.drawing import figure_bytes

    folder.mkdir()
    for name, result in figures_of(findings):
        step(f"figure {name}")
        figure = result.plot()
        for ending in FORMATS:
            (folder / f"{name}.{ending}").write_bytes(figure_bytes(figure, ending))
