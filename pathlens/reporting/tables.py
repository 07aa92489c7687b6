"""The tables of a report: one CSV a question, in columns that stay the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathlens.reporting.collect import Findings, Gap

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "filter_states": ("layer", "name", "filter", "rate", "state"),
    "states_by_layer": (
        *("layer", "name", "filters", "high_energy", "mute", "dynamic"),
        *("density", "share_dynamic"),
    ),
    "class_paths": ("layer", "class", "filter", "rate"),
    "clusters": ("layer", "image", "label", "cluster"),
    "cluster_scores": ("layer", "measure", "value", "null_mean", "null_95", "p"),
    "map": ("layer", "image", "x", "y", "label", "prediction", "copies"),
    "associations": (
        *("layer", "name", "combination", "concept", "n", "support", "lift", "phi", "precision"),
        *("recall", "f1", "phi_ci_low", "phi_ci_high", "p", "p_corrected", "confirmed"),
        *("gain_over_best_single", "gain_ci_low", "gain_ci_high", "phi_discovery"),
    ),
}
"""Columns of every table; a column that a recording cannot fill (its labels, say) stays empty."""


def make_tables(findings: Findings) -> dict[str, pd.DataFrame]:
    """All tables by name; one that could not be computed has its columns and no rows."""
    layers = findings.layers
    tables = {
        "filter_states": findings.states.frame,
        "states_by_layer": findings.states.by_layer,
        "class_paths": _stacked((x.layer.index, x.class_paths, "frame") for x in layers),
        "clusters": _stacked((x.layer.index, x.clusters, "frame") for x in layers),
        "cluster_scores": _stacked((x.layer.index, x.clusters, "scores") for x in layers),
        "map": _stacked((x.layer.index, x.path_map, "frame") for x in layers),
        "associations": _stacked([(None, findings.associations, "frame")]),
    }
    return {name: table.reindex(columns=list(COLUMNS[name])) for name, table in tables.items()}


def write_tables(findings: Findings, folder: Path) -> None:
    """Write all tables as CSV (UTF-8, comma, one header line)."""
    folder.mkdir()
    for name, table in make_tables(findings).items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")


def _stacked(parts: Iterable[tuple[int | None, Any, str]]) -> pd.DataFrame:
    """The named frames of all results that are there, with the layer's number as a column."""
    import pandas as pd

    frames = []
    for layer, result, attribute in parts:
        if isinstance(result, Gap):
            continue
        frame = getattr(result, attribute)
        frames.append(frame if layer is None else frame.assign(layer=layer))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
