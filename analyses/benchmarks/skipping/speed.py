"""Speed of skipping: dense, masked, skipping, and a network statically cut to the same path.

python analyses/benchmarks/skipping/speed.py [--cases vgg16 resnet18 ...] [--turns 9] [--out FILE.csv]
"""

from __future__ import annotations

import argparse
import copy
import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from machine import machine

from pathlens.decoupling import DecoupledNetwork, decouple
from pathlens.models import build_model
from pathlens.skipping import SkippingNetwork, skip
from pathlens.skipping.steps.gating import Decide, Pool

CASES = {
    "vgg16": 224, "resnet18": 224, "resnet50": 224, "squeezenet1_1": 224, "googlenet": 224,
    "mobilenet_v2": 224, "resnet20": 32,
}  # fmt: skip
DENSITIES = (0.7, 0.5, 0.3)
LAST = torch.channels_last


def built(name: str) -> nn.Module:
    """A network with random weights under which signals keep their size, and BNs that do something."""
    known = hasattr(torchvision.models, name)
    options: dict[str, Any] = {"init_weights": False} if name == "googlenet" else {}
    model = (
        torchvision.models.get_model(name, **options) if known else build_model(name, 10)
    ).eval()
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.normal_(0, (2 / module.weight[0].numel()) ** 0.5, generator=generator)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return model


def drawn(network: DecoupledNetwork, density: float, seed: int) -> dict[str, Tensor]:
    """A random path."""
    generator = torch.Generator().manual_seed(seed)
    return {
        layer.name: (torch.rand(1, layer.filters, generator=generator) < density).float()
        for layer in network.layers
    }


def seconds(call: Callable[[], object]) -> float:
    """Processor seconds of one call, after one that warms up: other programs may use the machine."""
    call()
    start = time.process_time()
    call()
    return time.process_time() - start


def gating_seconds(skipping: SkippingNetwork, x: Tensor, turns: int = 7) -> float:
    """Processor seconds of all pooling and deciding in one run; the shortest of each step."""
    plan = skipping.plan_for((x,))
    assert plan is not None
    taken: dict[int, list[float]] = {}

    def timed(step: Any) -> Any:
        def run(state: Any) -> None:
            start = time.process_time()
            step(state)
            taken.setdefault(id(step), []).append(time.process_time() - start)

        return run

    steps = list(plan.steps)
    plan.steps[:] = [timed(step) if isinstance(step, Pool | Decide) else step for step in steps]
    for _ in range(turns):
        skipping(x)
    plan.steps[:] = steps
    return sum(min(times) for times in taken.values())


def measure(name: str, px: int, turns: int) -> list[dict[str, Any]]:
    """Rows of the table for one network."""
    model = built(name)
    x = torch.randn(1, 3, px, px, generator=torch.Generator().manual_seed(1))
    network = decouple(model, x).eval()
    folded = fuse(copy.deepcopy(model)).eval()
    last = copy.deepcopy(folded).to(memory_format=LAST)
    x_last = x.contiguous(memory_format=LAST)
    skipping = skip(network, x, cache_bytes=0)
    plain = skip(network, x, cache_bytes=0, compiled=False)
    gating = gating_seconds(skipping, x)
    rows = []
    for density in DENSITIES:
        turned = []
        for seed in range(turns):
            path = drawn(network, density, seed)
            cut, packed = plain.static(path, x), skipping.static(path, x)
            turned.append(
                {
                    "dense": seconds(lambda: folded(x)),
                    "dense, channels last": seconds(lambda: last(x_last)),
                    "masked": seconds(
                        lambda path=path: network.with_path(x, force=path, responses=False)
                    ),
                    "skipping": seconds(lambda path=path: skipping.with_path(x, force=path)),
                    "cut": seconds(lambda cut=cut: cut(x)),
                    "cut, packed": seconds(lambda packed=packed: packed(x)),
                }
            )
            del cut, packed
        rows += table(name, px, density, turned, gating)
        print(summary(rows[-1]), flush=True)
    return rows


def table(
    name: str, px: int, density: float, turns: list[dict[str, float]], gating: float
) -> list[dict[str, Any]]:
    """One row: medians in ms with quartiles, and medians of ratios within a turn."""
    row: dict[str, Any] = {"network": name, "px": px, "density": density, "turns": len(turns)}
    for key in turns[0]:
        times = 1e3 * np.array([turn[key] for turn in turns])
        row[f"{key}, ms"] = round(float(np.median(times)), 2)
        row[f"{key}, quartiles"] = "{:.2f} to {:.2f}".format(*np.quantile(times, [0.25, 0.75]))
    dense = [min(turn["dense"], turn["dense, channels last"]) for turn in turns]
    ratios = {
        "speed-up over dense": [d / t["skipping"] for d, t in zip(dense, turns, strict=True)],
        "speed-up of the cut": [d / t["cut"] for d, t in zip(dense, turns, strict=True)],
        "speed-up over masked": [t["masked"] / t["skipping"] for t in turns],
        "share of the cut's speed": [t["cut"] / t["skipping"] for t in turns],
        "share of the packed cut's speed": [t["cut, packed"] / t["skipping"] for t in turns],
        "gating over dense": [gating / d for d in dense],
    }
    row.update({key: round(float(np.median(values)), 3) for key, values in ratios.items()})
    return [row]


def summary(row: dict[str, Any]) -> str:
    """One line about a row."""
    cut, packed = row["share of the cut's speed"], row["share of the packed cut's speed"]
    return (
        f"{row['network']} {row['density']:.0%}: {row['skipping, ms']} ms, "
        f"{row['speed-up over dense']:.2f} x dense, {row['speed-up over masked']:.2f} x masked, "
        f"{cut:.2f} of the cut, "
        f"{packed:.2f} of the packed cut, "
        f"gating {row['gating over dense']:.1%}"
    )


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("speed.csv"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    note = machine(options.threads, "torch", "numba")
    rows: list[dict[str, Any]] = []
    for name in options.cases:
        with torch.no_grad():
            rows += measure(name, CASES[name], options.turns)
        write(options.out, [{**row, "machine": note} for row in rows])


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the table, after every network, so that an interrupted run has what it measured."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
