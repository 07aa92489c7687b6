"""Writing an evaluation: tables, figures, and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pathlens.analysis.drawing import figure_bytes
from pathlens.files import write_bytes, write_text

if TYPE_CHECKING:
    from pathlens.detection.evaluation.result import Evaluation

TABLES = ("frame", "matrix", "few", "matched", "depth", "crossings", "combined", "spread")


def save_evaluation(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write tables, figures and summary; returns the files."""
    written: list[Path] = []
    for name in TABLES:
        table = getattr(evaluation, name)
        target = folder / f"{'detection' if name == 'frame' else name}.csv"
        # Six digits tell any two of a million images apart, and stay readable.
        write_text(target, table.to_csv(index=False, float_format="%.6g"))
        written.append(target)
    figures = {"detection": evaluation.plot(), "depth": evaluation.plot_depth()}
    if len(evaluation.matrix):
        figures["matrix"] = evaluation.plot_matrix()
    for name, figure in figures.items():
        for kind in ("png", "svg"):
            target = folder / f"{name}.{kind}"
            write_bytes(target, figure_bytes(figure, kind))
            written.append(target)
    said = evaluation.summary()
    if evaluation.left_out:
        said += f"\nLeft out: {evaluation.left_out}."
    write_text(folder / "summary.txt", said + "\n")
    return [*written, folder / "summary.txt"]
