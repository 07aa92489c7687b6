"""Networks really trained on `scenes`: what is claimed, and how much of it with the negative controls.

Usage: python analyses/planted/scenes.py WORK [--splits 10] [--redraws 100] [--processes 1]

Trains what is not finished in WORK (three seeds of the demo's two networks), records the test images
and writes scenes.csv (a row for each network, split and kind of concept) and scenes_concepts.csv (the
strongest association of each concept). What is there already is kept.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from running import HERE, Rows, rng_of, run_missing

import pathlens
from pathlens.analysis import associations
from pathlens.datasets.scene_plan import CONTROL_RATES
from pathlens.demo import DATA, DECOUPLED_EPOCHS, MODEL, PLAIN_BATCH, PLAIN_EPOCHS
from pathlens.recording import Recording, open_recording

SEEDS = (0, 1, 2)
CONTROL = "control:"
KINDS = ("control", "class", "of the picture")
SHOWN = (
    *("concept", "layer", "combination", "support", "phi", "phi_ci_low", "phi_ci_high"),
    *(
        "p_corrected",
        "testable",
        "confirmed",
        "gain_over_best_single",
        "gain_ci_low",
        "gain_ci_high",
    ),
    "beyond_class",
)


@dataclass(frozen=True)
class ScenesJob:
    """A report on one network.

    Attributes:
        seed: Of the network.
        controls: "own": those of the data set; "redrawn": others of the same rates, new by chance.
        draw: Seed of the split and of redrawn controls.
    """

    seed: int
    controls: str
    draw: int


def jobs(splits: int, redraws: int) -> list[ScenesJob]:
    """All reports."""
    kinds = (("own", splits), ("redrawn", redraws))
    return [
        ScenesJob(seed, controls, draw)
        for seed in SEEDS
        for controls, draws in kinds
        for draw in range(draws)
    ]


def network(seed: int) -> None:
    """Train plain, then decoupled from it, as the demo does, and record the test images."""
    plain, name = f"plain-{seed}", f"scenes-{seed}"
    shared: dict[str, Any] = {"seed": seed, "progress": False}
    pathlens.train(
        MODEL,
        DATA,
        plain=True,
        epochs=PLAIN_EPOCHS,
        batch_size=PLAIN_BATCH,
        run=plain,
        **shared,
    )
    pathlens.train(MODEL, DATA, start_from=plain, epochs=DECOUPLED_EPOCHS, run=name, **shared)
    pathlens.record(name, progress=False, out=place(seed))


def place(seed: int) -> Path:
    """Folder of the recording of a network."""
    return Path(os.environ["PATHLENS_RUNS"]) / f"scenes-{seed}" / "recordings" / "test"


def kind_of(concept: str) -> str:
    """One of `KINDS`."""
    if concept.startswith(CONTROL):
        return KINDS[0]
    return KINDS[1] if concept.startswith("class:") else KINDS[2]


def redrawn(table: pd.DataFrame, images: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    """The concept table with other negative controls of the same rates."""
    kept = table[~table["concept"].str.startswith(CONTROL)]
    drawn = [
        pd.DataFrame(
            {"image": images[rng.random(len(images)) < rate], "concept": name, "value": 1.0}
        )
        for name, rate in CONTROL_RATES.items()
    ]
    return pd.concat([kept, *drawn], ignore_index=True)


def concept_table(recording: Recording, job: ScenesJob) -> pd.DataFrame:
    """The concepts of a report."""
    table = recording.concepts()
    if table is None:
        raise SystemExit(f"{recording.folder} has no concepts: it is no recording of scenes.")
    if job.controls == "own":
        return table
    return redrawn(table, recording.images["image"], rng_of(job))


def measure(job: ScenesJob) -> Rows:
    """Concepts, rows tested and claims of each kind, in one report over all layers."""
    recording = open_recording(place(job.seed))
    table = concept_table(recording, job)
    frame = associations(recording, concepts=table, seed=job.draw, resamples=0).frame
    kinds = frame["concept"].map(kind_of)
    return [
        {
            "kind": kind,
            "concepts": rows["concept"].nunique(),
            "tested": len(rows),
            "testable": int(rows["testable"].sum()),
            "claims": int(rows["confirmed"].sum()),
            "concepts_claimed": rows.loc[rows["confirmed"], "concept"].nunique(),
        }
        for kind in KINDS
        for rows in [frame[kinds == kind]]
    ]


def strongest(seed: int) -> pd.DataFrame:
    """The row with the smallest p of each concept, in the report at its defaults."""
    frame = associations(open_recording(place(seed))).frame
    order = frame.sort_values(["p_corrected", "phi"], ascending=[True, False], kind="stable")
    first = order.drop_duplicates("concept").sort_values("concept")
    return first[list(SHOWN)].assign(seed=seed)[["seed", *SHOWN]]


def main() -> None:
    """Train and measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--redraws", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    os.environ["PATHLENS_RUNS"] = str(asked.work.resolve())
    for seed in SEEDS:
        network(seed)
    wanted = jobs(asked.splits, asked.redraws)
    run_missing(HERE / "scenes.csv", wanted, measure, asked.processes)
    table = pd.concat([strongest(seed) for seed in SEEDS])
    table.to_csv(
        HERE / "scenes_concepts.csv", index=False, float_format="%.4g", lineterminator="\n"
    )


if __name__ == "__main__":
    main()
