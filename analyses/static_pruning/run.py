"""Prune, fine-tune, measure and time what is missing, and write the tables.

Usage: PATHLENS_SHARED=../shared python analyses/static_pruning/run.py WORK [--set NAME] [--row NAME ...]
       [--no-training] [--no-timing] [--turns N] [--limit N --epochs N]

WORK holds the runs; it may be used again after an interruption: every run is resumed where it stands.
Tables are written beside this file. With --limit or --epochs it is a trial, and all that it makes but
the first networks is under WORK/trial, to be deleted before another trial.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
import torch
from fine_tuning import fine_tuned, load_pruned
from measuring import SKIPPING, measured_kept, measured_pruned, remembered, subject_of
from planning import HERE, Rival, Set, planned
from tables import KEPT, accuracy_rows, equals, update
from timing import TURNS, Contest

from pathlens.runs import Run

sys.path.insert(0, str(HERE.parent / "benchmarks"))

from machine import machine


def train(one: Set, options: argparse.Namespace) -> None:
    """Train the rivals of a set that are wanted and not finished."""
    for rival in one.rivals:
        if not options.row or rival.name in options.row:
            print(rival.name, flush=True)
            only = {"limit": options.limit, "epochs": options.epochs}
            fine_tuned(one, rival, options.work, first=options.first, **only)


def finished(one: Set, work: Path) -> dict[str, Run]:
    """The rivals that are trained, by name."""
    runs: dict[Rival, Run] = {r: Run(work / "pruned" / r.name) for r in one.rivals}
    return {rival.name: run for rival, run in runs.items() if run.finished}


def measure(one: Set, options: argparse.Namespace) -> pd.DataFrame:
    """Accuracy of the kept networks and of all rivals that are trained."""
    subject = subject_of(one, options.limit)
    folder = options.work / "answers"
    files = {name: folder / f"{one.name}-{name}.npz" for name in KEPT}
    if not files[SKIPPING].exists():
        for name, values in measured_kept(subject).items():
            remembered(files[name], lambda values=values: values)
    found = {n: remembered(f, lambda: (0.0, None)) for n, f in files.items() if f.exists()}
    for name, run in finished(one, options.work).items():
        file = folder / f"{name}.npz"
        found[name] = remembered(file, lambda run=run: measured_pruned(subject, run))
    rows = pd.DataFrame(accuracy_rows(one.name, found))
    update(options.tables / "accuracy.csv", rows)
    return rows


def time_all(one: Set, options: argparse.Namespace) -> pd.DataFrame:
    """Processor time of the kept networks and of all rivals that are trained."""
    pruned = {name: load_pruned(run) for name, run in finished(one, options.work).items()}
    contest = Contest(subject_of(one, options.limit), pruned)
    note = machine(1, "torch", "numba")
    rows = []
    for batch, turns in TURNS.items():
        found = contest.rows(batch, options.turns or turns)
        rows += [{"set": one.name, **row, "machine": note} for row in found]
        update(options.tables / "speed.csv", pd.DataFrame(rows))
    return pd.DataFrame(rows)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--set", action="append", help="name of a set; all if not given")
    parser.add_argument("--row", nargs="+", default=[], help="rivals to train; all if not given")
    parser.add_argument("--no-training", action="store_true")
    parser.add_argument("--no-timing", action="store_true")
    parser.add_argument("--limit", type=int, help="images of each split, to try the study out")
    parser.add_argument("--epochs", type=int, help="other than the decoupled network's, to try out")
    parser.add_argument("--turns", type=int)
    options = parser.parse_args()
    options.work = options.first = options.work.resolve()
    options.tables = HERE
    if (options.limit, options.epochs) != (None, None):
        options.work = options.work / "trial"
        options.tables = options.work / "tables"
    return options


def main() -> None:
    """Set by set: train, measure, time, compare."""
    options = arguments()
    torch.set_num_threads(1)
    for one in planned((HERE / "rows.toml").read_text("utf-8")):
        if options.set and one.name not in options.set:
            continue
        if not options.no_training:
            train(one, options)
        accuracy = measure(one, options)
        print(accuracy.round(4).to_string(), flush=True)
        if not options.no_timing:
            found = equals(accuracy, time_all(one, options))
            found.insert(0, "set", one.name)
            update(options.tables / "equal.csv", found)
            print(found.round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
