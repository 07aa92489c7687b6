"""Train networks on scenes:shortcut, find the filters of the planted shortcut and gate them off.

Usage: python analyses/shortcut/run.py WORK [NAME ...]

WORK holds the runs and may be used again after an interruption: what is finished there is kept. Names
pick networks, as few-0; all of them without. Writes shortcut.csv, candidates.csv, combinations.csv and
shortcut.svg beside this file; rows of networks that were not asked for stay as they are.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import pathlens
from pathlens.analysis.drawing import FAINT, INK, PALETTE, figure_bytes, house_style, new_figure
from pathlens.analysis.source import Ints
from pathlens.concepts import concept_matrix
from pathlens.datasets import load_dataset
from pathlens.probing.shortcut import find_shortcut
from pathlens.probing.shortcut_result import WORST_GROUP

HERE = Path(__file__).parent
DATA, ATTRIBUTE, SEEDS = "scenes:shortcut", "background:night", (0, 1, 2)
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "shortcut": {"epochs": 16},
    "few": {"epochs": 24, "limit": 1000, "batch_size": 64},
}


def network(configuration: str, seed: int) -> Path:
    """Train plain, then decoupled from it, and record the test images; the recording's folder."""
    settings = {**CONFIGURATIONS[configuration], "image_size": 32, "seed": seed}
    plain, name = f"{configuration}-plain-{seed}", f"{configuration}-{seed}"
    pathlens.train("small_cnn", DATA, plain=True, run=plain, **settings)
    pathlens.train("small_cnn", DATA, start_from=plain, run=name, **settings)
    return pathlens.record(name).folder


def shortcut_class() -> str:
    """The class that goes with the attribute most in the training images."""
    train = load_dataset(DATA).split("train")
    matrix, _ = concept_matrix(train.concepts, train.ids)
    labels: Ints = train.labels
    has = matrix[ATTRIBUTE].to_numpy()
    return train.classes[
        int(np.argmax([has[labels == k].mean() for k in range(len(train.classes))]))
    ]


def update(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Put the rows of one network into a table of the study."""
    target = HERE / name
    if target.exists():
        before = pd.read_csv(target)
        frame = pd.concat([before[before["network"] != frame["network"].iloc[0]], frame])
    frame = frame.sort_values("network", kind="stable", ignore_index=True)
    frame.to_csv(target, index=False, float_format="%.4f", lineterminator="\n")
    return frame


def draw(table: pd.DataFrame) -> None:
    """Accuracy of the worst group on confirmation images, before and after, by network."""
    rows = table[(table["stage"] == "confirmation") & (table["group"] == WORST_GROUP)]
    rows = rows.reset_index(drop=True)
    y = rows.index.to_numpy()
    with house_style():
        figure = new_figure(7.0, 1.4 + 0.4 * len(rows))
        axes = figure.add_subplot()
        own = 100 * rows["own"]
        low, high = own + 100 * rows["control_low"], own + 100 * rows["control_high"]
        axes.hlines(y, low, high, color=FAINT, linewidth=8, label="95 % of matched random sets off")
        axes.plot(own, y, "|", color=INK, markersize=14, label="as trained")
        after = 100 * rows["ablated"]
        error = [100 * (rows["change"] - rows["low"]), 100 * (rows["high"] - rows["change"])]
        axes.errorbar(after, y, xerr=error, fmt="o", color=PALETTE[0], label="found filters off")
        axes.set_yticks(y, rows["network"])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set(xlabel="accuracy of the worst group, % (confirmation images)")
        axes.set_title("Gating off the filters of the planted shortcut")
        figure.legend(loc="outside lower center", ncols=3)
    (HERE / "shortcut.svg").write_bytes(figure_bytes(figure, "svg"))


def main(work: Path, wanted: list[str]) -> None:
    """Train and measure what is asked for, then draw."""
    work.mkdir(parents=True, exist_ok=True)
    os.environ["PATHLENS_RUNS"] = str(work / "runs")
    target = shortcut_class()
    for configuration in CONFIGURATIONS:
        for seed in SEEDS:
            name = f"{configuration}-{seed}"
            if wanted and name not in wanted:
                continue
            found = find_shortcut(network(configuration, seed), ATTRIBUTE, of=target)
            table = update("shortcut.csv", found.frame.assign(network=name))
            update("candidates.csv", found.candidates.assign(network=name))
            update("combinations.csv", found.combinations.assign(network=name))
            draw(table)
            print(f"{name}: {found.summary()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
