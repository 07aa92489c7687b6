"""Keep a trained network as a small run folder: float16 weights, its configuration, its history.

Usage: python analyses/accuracy/keep.py RUN ...

What the studies measure is measured on these files, which `pathlens` loads as any other run
(`PATHLENS_RUNS=analyses/checkpoints`).
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from torch import Tensor

from pathlens.errors import PathLensError
from pathlens.files import read_json, write_json
from pathlens.runs import Run, find_run
from pathlens.training.checkpoint import load_checkpoint, save_checkpoint, weights_hash

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
MOST_BYTES = 4_000_000


def keep(run: Run) -> Path:
    """Write the run's folder under analyses/checkpoints and return it.

    Raises:
        PathLensError: If the weights do not fit into float16, or the file is larger than 4 MB.
    """
    target = CHECKPOINTS / run.name
    target.mkdir(parents=True, exist_ok=True)
    weights = {
        name: _half(name, t) for name, t in load_checkpoint(run.checkpoint)["weights"].items()
    }
    save_checkpoint(target / "checkpoint.pt", {"weights": weights})
    size = (target / "checkpoint.pt").stat().st_size
    if size > MOST_BYTES:
        shutil.rmtree(target)
        raise PathLensError(f"{run.name} takes {size / 1e6:.1f} MB as float16: do not keep it.")
    config = run.config
    # Whoever loads it says where the images are; the name alone would mean the original CIFAR-10.
    config["data"] = f"./{Path(config['data']).name}"
    if config["weights"]:
        config["weights"] = Path(config["weights"]).name
    write_json(target / "config.json", config)
    result = {**read_json(run.folder / "result.json"), "checkpoint": weights_hash(weights)}
    write_json(target / "result.json", result)
    shutil.copy(run.folder / "history.csv", target / "history.csv")
    return target


def _half(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    if not torch.isfinite(half).all():
        raise PathLensError(f"{name} does not fit into float16.")
    return half.contiguous()


if __name__ == "__main__":
    for spec in sys.argv[1:]:
        print(keep(find_run(spec)))
