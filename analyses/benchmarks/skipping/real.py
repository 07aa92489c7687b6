"""The kept networks on real images, with the paths that they decide: what `pathlens speed` says of each.

PATHLENS_SHARED=../shared python analyses/benchmarks/skipping/real.py WORK [--runs NAME ...] [--turns 9]

Images are unpacked in WORK once. With one thread on an idle machine; the time is that on the wall.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from machine import machine
from shared_work import cifar10

from pathlens.deploying import speed

HERE = Path(__file__).resolve().parent
CHECKPOINTS = HERE.parents[1] / "checkpoints"
SHARED = Path(os.environ.get("PATHLENS_SHARED", HERE.parents[3] / "shared")).resolve()
RUNS = {
    "resnet20-cifar10-50": "cifar10",
    "resnet20-cifar10-60": "cifar10",
    "vgg16-cifar10-60": "cifar10",
    "googlenet-cifar10-50": "cifar10",
    "squeezenet-tinyimagenet20-40": "tinyimagenet20_a",
    "squeezenet-flowers128-40": "flowers128",
}
"""Kept decoupled runs and the data sets that they were trained on."""


def images(name: str, work: Path) -> Path:
    """Folder of the images of a data set."""
    if name != "cifar10":
        return SHARED / "data" / name
    cifar10(work / name)
    return work / name


def measure(run: str, work: Path, turns: int) -> pd.DataFrame:
    """Rows of one run: a form and a number of images at once each."""
    data = images(RUNS[run], work)
    found = speed(
        CHECKPOINTS / run,
        data=data,
        images=128,
        batch_sizes=(1, 32),
        threads=(1,),
        turns=turns,
        progress=False,
    )
    print(run, *found.notes, sep="\n", flush=True)
    print(
        found.frame[["batch", "form", "ms", "speedup", "mode"]].to_string(index=False), flush=True
    )
    return found.frame.assign(run=run, machine=machine(1, "torch", "numba"))


def main() -> None:
    """Measure and write the table, after every run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--runs", nargs="+", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    made: list[pd.DataFrame] = []
    for run in options.runs:
        made.append(measure(run, options.work.resolve(), options.turns))
        pd.concat(made).set_index("run").to_csv(HERE / "real.csv")


if __name__ == "__main__":
    main()
