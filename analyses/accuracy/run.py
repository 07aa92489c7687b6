"""Train the rows of rows.toml that are not finished yet, one after another, and keep the small networks.

Usage: PATHLENS_SHARED=../shared python analyses/accuracy/run.py WORK [ROW ...]

WORK holds the unpacked CIFAR-10 and the runs; it may be used again after an interruption. Every run is
resumed where it stands.
"""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from typing import Any

from keep import keep

import pathlens
from pathlens.runs import Run

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from shared_work import SHARED, cifar10  # noqa: E402


def folders(work: Path) -> dict[str, str]:
    """What stands for the names in braces; CIFAR-10 is unpacked first if need be."""
    data = SHARED / "data"
    return {
        "weights": str(data / "weights"),
        "cifar10": str(cifar10(work / "cifar10-jpeg")),
        "flowers128": str(data / "flowers128"),
        "tinyimagenet20_a": str(data / "tinyimagenet20_a"),
        "recipes": str(HERE / "recipes"),
    }


def train(row: dict[str, Any], names: dict[str, str]) -> Run:
    """Train one row, or go on where it was interrupted."""
    settings = {k: v.format(**names) if isinstance(v, str) else v for k, v in row.items()}
    name, kept = settings.pop("name"), settings.pop("checkpoint", False)
    settings.pop("compare", None)  # for measure.py
    run = pathlens.train(**settings, run=name)
    if kept:
        keep(run)
    return run


def main(work: Path, wanted: list[str]) -> None:
    """Train what is missing."""
    work.mkdir(parents=True, exist_ok=True)
    os.environ["PATHLENS_RUNS"] = str(work / "runs")
    rows = tomllib.loads((HERE / "rows.toml").read_text("utf-8"))
    names = folders(work)
    for row in rows["row"]:
        if not wanted or row["name"] in wanted:
            train({**rows["defaults"], **row}, names)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
