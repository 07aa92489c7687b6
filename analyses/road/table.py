"""Print a row a finished run: what was asked for and what was measured on the test images."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from pathlens.runs import Run, all_runs


def row(run: Run) -> dict[str, Any]:
    """What was asked of a run and what came out."""
    config, result = run.config, run.result
    test = result["test"]
    share = test["accuracy"]
    history = run.folder / "history.csv"
    seconds = pd.read_csv(history)["seconds"].sum() if history.exists() else 0
    return {
        "run": run.name,
        "model": config["model"],
        "data": Path(config["data"]).name,
        "start": config["start_from"] or Path(config["weights"] or "scratch").name,
        "epochs": config["epochs"],
        "plain": config["plain"],
        "test_images": test["images"],
        "accuracy": round(share, 4),
        "half_interval_95": round(1.96 * math.sqrt(share * (1 - share) / test["images"]), 4),
        "gate_density": round(test["density"], 4),
        "macs_share": round(test["macs_share"], 4),
        "training_seconds": round(seconds),
        "seed": config["seed"],
    }


if __name__ == "__main__":
    rows = [row(run) for run in reversed(all_runs(Path(sys.argv[1]))) if run.finished]
    print(pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"), end="")
