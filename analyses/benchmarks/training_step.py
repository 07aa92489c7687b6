"""Time of a training step: decoupled over plain, on the loop's own step.

python analyses/benchmarks/training_step.py [--repeats 30] [--batch 128] [--out FILE.csv]
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import machine

from pathlens.datasets import ImageSplit
from pathlens.datasets.loader import ImageLoader, View, centre, normalise
from pathlens.runs import Run
from pathlens.training.config import Config
from pathlens.training.distributed import World
from pathlens.training.loop import Trainer
from pathlens.training.randomness import image_seeds
from pathlens.training.recipe import load_recipe

CASES = (("resnet20", 32), ("resnet18", 64))
PRECISIONS = ("float32", "bfloat16")
CLASSES = tuple("abcdefghij")


def trainer(
    model: str, size: int, batch: int, precision: str, folder: Path, device: str, *, plain: bool
) -> Trainer:
    """The loop, in the middle of a training with all losses on and no teacher."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (batch, size, size, 3), dtype=np.uint8)
    labels = rng.integers(0, len(CLASSES), batch)
    split = ImageSplit("train", tuple(map(str, range(batch))), labels, CLASSES, pixels.__getitem__)
    config = Config(
        model=model,
        width=1.0,
        data="random",
        data_seed=0,
        limit=None,
        classes=CLASSES,
        view=View.of(size, size),
        weights=None,
        start_from=None,
        plain=plain,
        recipe=load_recipe("short"),
        epochs=4,
        batch_size=batch,
        seed=0,
        precision=precision,
    )
    loader = ImageLoader(split, config.view)
    torch.manual_seed(0)
    network = config.decouple(config.build())
    world = World(device=device)
    made = Trainer(config, Run(folder), network, None, loader, loader, progress=False, world=world)
    made.epoch = 1  # of 4: the weights of all losses have grown to their full size
    made.network.train()
    return made


def step(made: Trainer) -> Callable[[], None]:
    """One step on the whole set, image decoding left out."""
    positions = np.arange(len(made.labels))
    batch = made.train.read(positions.tolist())
    seeds = image_seeds(len(positions), 0, 0).tolist()
    where = torch.from_numpy(positions)
    return lambda: made._train_step(batch.canvas, where, seeds, 1.0)


def teacher_forward(made: Trainer) -> Callable[[], None]:
    """What distilling adds: a forward pass of the plain network, without gradient."""
    batch = made.train.read(range(len(made.labels)))
    x = normalise(centre(batch.canvas, made.train.view).to(made.device))
    x = x.contiguous(memory_format=torch.channels_last)

    def forward() -> None:
        made.network.eval()
        with torch.no_grad(), made._autocast():
            made.network(x)
        made.network.train()

    return forward


def seconds(call: Callable[[], None], device: str) -> float:
    """How long one call takes."""
    begin = time.perf_counter()
    call()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def measure(
    calls: dict[str, Callable[[], None]], repeats: int, device: str
) -> dict[str, list[float]]:
    """Times of all calls, taken in turn, so that what else the machine does hits all alike."""
    for call in calls.values():
        for _ in range(2):
            call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(seconds(call, device))
    return times


def row(
    case: tuple[str, int], precision: str, batch: int, times: dict[str, list[float]]
) -> dict[str, object]:
    """Medians with quartiles in milliseconds; the ratio is that of steps taken in turn."""
    found: dict[str, object] = {
        "model": case[0],
        "px": case[1],
        "precision": precision,
        "batch": batch,
    }
    for name, values in times.items():
        low, middle, high = (1e3 * q for q in np.quantile(values, [0.25, 0.5, 0.75]))
        found |= {
            f"{name}_ms": f"{middle:.1f}",
            f"{name}_q1": f"{low:.1f}",
            f"{name}_q3": f"{high:.1f}",
        }
    ratio = np.array(times["decoupled"]) / np.array(times["plain"])
    low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
    return found | {"ratio": f"{middle:.3f}", "ratio_q1": f"{low:.3f}", "ratio_q3": f"{high:.3f}"}


def accelerator(device: str) -> str:
    """Name of the device, if it is not the processor."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else ""


def main() -> None:
    """Measure all cases, print a line each, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("training_step.csv"))
    asked = parser.parse_args()
    where, rows = machine(torch.get_num_threads(), "torch", name=accelerator(asked.device)), []
    print(where)
    for case in CASES:
        for precision in PRECISIONS:
            with tempfile.TemporaryDirectory() as folder:
                make = (*case, asked.batch, precision, Path(folder), asked.device)
                plain, decoupled = trainer(*make, plain=True), trainer(*make, plain=False)
                calls = {
                    "plain": step(plain),
                    "decoupled": step(decoupled),
                    "teacher": teacher_forward(plain),
                }
                rows.append(
                    row(case, precision, asked.batch, measure(calls, asked.repeats, asked.device))
                )
            print("  ".join(f"{name} {value}" for name, value in rows[-1].items()))
    with asked.out.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, [*rows[0], "repeats", "machine"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**entry, "repeats": asked.repeats, "machine": where} for entry in rows)


if __name__ == "__main__":
    main()
