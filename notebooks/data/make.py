"""Make the two small runs and the recording that the notebooks open; see README.md.

Usage: python notebooks/data/make.py RUNS

RUNS holds the finished runs `demo-plain` and `demo` of `pathlens demo`.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch

import pathlens
from pathlens.training.checkpoint import load_checkpoint, save_checkpoint, weights_hash

HERE = Path(__file__).parent
NAMES = {"demo-plain": "scenes-plain", "demo": "scenes"}
IMAGES = 500


def keep(source: Path, target: Path) -> None:
    """Keep a run's settings, history and weights (as float16), without what resuming needs."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copy(source / "history.csv", target)
    config = json.loads((source / "config.json").read_text("utf-8"))
    config["start_from"] = NAMES.get(config["start_from"])
    (target / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    weights = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in load_checkpoint(source / "checkpoint.pt")["weights"].items()
    }
    save_checkpoint(target / "checkpoint.pt", {"weights": weights})
    result = json.loads((source / "result.json").read_text("utf-8"))
    result["checkpoint"] = weights_hash(weights)
    (target / "result.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")


def main() -> None:
    """Keep both runs and record the decoupled one."""
    torch.set_num_threads(1)
    for name, kept in NAMES.items():
        keep(Path(sys.argv[1]) / name, HERE / kept)
    recording = pathlens.record(HERE / "scenes", limit=IMAGES, progress=False)
    print(recording.folder.relative_to(HERE), len(recording), "images")


if __name__ == "__main__":
    main()
