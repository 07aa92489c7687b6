"""Which confirmed combinations of filters an image is routed through, and their concepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pathlens.analysis.source import Bits, PathData
from pathlens.files import read_json
from pathlens.recording.reader import Recording
from pathlens.runs import Run

_KEPT = ["layer", "name", "combination", "concept", "phi", "precision", "recall", "prevalence"]


@dataclass(frozen=True)
class Hits:
    """Confirmed associations of a recording, held against one image.

    Attributes:
        frame: A row a confirmed combination whose filters are all on: layer, name, combination,
            concept, phi, precision (share of such images that have the concept), recall, prevalence
            (share of all images that have it), value (how far the image has it, 0 to 1; NaN if
            unknown), by falling phi.
        concepts: A row a concept of any confirmed combination: concept, hit and confirmed (numbers
            of combinations), expected (number that a confirmation image holds on average), best_phi
            (of those hit), value; those first of which it holds the most above that average.
        source: Where the associations are from, in words.
    """

    frame: pd.DataFrame = field(repr=False)
    concepts: pd.DataFrame = field(repr=False)
    source: str


def confirmed_associations(recording: Recording, run: Run) -> tuple[pd.DataFrame, str]:
    """The confirmed rows of the newest report of this recording, or of a search made now.

    Returns:
        Columns as of `pathlens.analysis.Associations.frame`, and where they are from, in words.

    Raises:
        PathLensError: If the images cannot be split, or nothing is known that could be associated.
    """
    from pathlens.analysis import associations

    for report in sorted(
        run.folder.glob("reports/*/tables/associations.csv"),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    ):
        about = read_json(report.parent.parent / "summary.json")
        if about.get("recording", {}).get("hash") == recording.hash:
            frame = pd.read_csv(report, dtype={"combination": str, "concept": str, "name": str})
            return _confirmed(frame), f"report {report.parent.parent.name}"
    found = associations(recording, resamples=0).frame
    return _confirmed(found), f"a search in recording {recording.folder.name}"


def _confirmed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["confirmed"].astype(bool)].reset_index(drop=True)


def hits_of(
    confirmed: pd.DataFrame,
    source: str,
    path: Mapping[str, Bits],
    values: Mapping[str, float],
) -> Hits:
    """Hold confirmed associations against a path.

    Args:
        confirmed: What `confirmed_associations` gave.
        source: Where they are from, in words.
        path: Layer name to gates (filters,).
        values: Concept to how far the image has it, as far as that is known.
    """
    on = [
        bool(path[name][[int(i) for i in combination.split("+")]].all())
        for name, combination in zip(confirmed["name"], confirmed["combination"], strict=True)
    ]
    table = confirmed.assign(
        on=np.asarray(on, dtype=np.bool_),
        rate=confirmed["support"] / confirmed["n"],
        prevalence=confirmed["precision"] / confirmed["lift"],
        value=confirmed["concept"].map(values).astype(np.float64),
    )
    hit = table[table["on"]].sort_values("phi", ascending=False, kind="stable", ignore_index=True)
    return Hits(hit[[*_KEPT, "value"]], _by_concept(table), source)


def _by_concept(table: pd.DataFrame) -> pd.DataFrame:
    table = table.assign(best_phi=table["phi"].where(table["on"]))
    grouped = table.groupby("concept", sort=True)
    frame = grouped.agg(
        hit=("on", "sum"),
        confirmed=("on", "size"),
        expected=("rate", "sum"),
        best_phi=("best_phi", "max"),
        value=("value", "first"),
    ).reset_index()
    gain = (frame["hit"] - frame["expected"]) / frame["confirmed"]
    ranked = gain.sort_values(ascending=False, kind="stable").index
    return frame.loc[ranked].reset_index(drop=True)


def known_values(data: PathData, image: str | None, label: int | None) -> dict[str, float]:
    """Concept to how far one image has it: its class, and what the concept table says.

    Args:
        data: The recording.
        image: Its id, or None where it was not recorded.
        label: Position of its true class, or None.

    Raises:
        PathLensError: If the recording's concept table is damaged.
    """
    values: dict[str, float] = {}
    if label is not None:
        values |= {f"class:{name}": float(i == label) for i, name in enumerate(data.classes)}
    table = data.concepts()
    if table is None or image is None or not (table["image"] == image).any():
        return values
    mine = table[table["image"] == image]
    listed = dict(zip(mine["concept"], mine["value"], strict=True))
    return values | {name: float(listed.get(name, 0.0)) for name in set(table["concept"]) - {""}}
