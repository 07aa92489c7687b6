"""Speed of skipping: dense, masked, skipping, and a network statically cut to the same path.

python analyses/benchmarks/skipping/speed.py [--cases vgg16 resnet18 ...] [--turns 9] [--batch 1]
    [--threads 1] [--out FILE.csv]

Images of a batch have paths of their own; the cut has what any of them has on. With one thread processor
seconds are measured, as other programs may use the machine, otherwise the time on the wall.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from machine import machine

from pathlens.decoupling import DecoupledNetwork, decouple
from pathlens.models import build_model
from pathlens.skipping.speed.forms import (
    CALIBRATED,
    CUT,
    DENSE,
    DENSE_LAST,
    MASKED,
    PACKED,
    SKIPPING,
    Forms,
)
from pathlens.skipping.speed.profile import profile
from pathlens.skipping.speed.timing import Times, in_turns

CASES = {
    "vgg16": 224, "resnet18": 224, "resnet50": 224, "squeezenet1_1": 224, "googlenet": 224,
    "mobilenet_v2": 224, "resnet20": 32,
}  # fmt: skip
DENSITIES = (0.7, 0.5, 0.3)


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


def drawn(
    network: DecoupledNetwork, density: float, seed: int, images: int = 1
) -> dict[str, Tensor]:
    """A random path for each of some images."""
    generator = torch.Generator().manual_seed(seed)
    return {
        layer.name: (torch.rand(images, layer.filters, generator=generator) < density).float()
        for layer in network.layers
    }


def measure(name: str, px: int, turns: int, batch: int) -> list[dict[str, Any]]:
    """Rows of the table for one network."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    x = torch.randn(4 * batch, 3, px, px, generator=torch.Generator().manual_seed(1))
    network = decouple(built(name), x[:1]).eval()
    forms = Forms(network, x[:1])
    steps = profile(forms.skipping, x[:batch], clock=clock)
    gating = float(steps.loc[steps["kind"] == "gating", "skipping_ms"].sum()) / 1e3
    rows = []
    for density in DENSITIES:
        forms.calibrated.calibrate(
            x, force=drawn(network, density, 10_000, len(x)), batch_sizes=[batch]
        )
        times = in_turns(
            lambda turn, density=density: forms.calls(
                x[:batch], drawn(network, density, turn, batch)
            ),
            turns,
            x.device,
            clock=clock,
        )
        row = {"network": name, "px": px, "batch": batch, "density": density}
        rows.append({**row, **table(times, gating), "mode": forms.calibrated.modes[batch]})
        print(summary(rows[-1]), flush=True)
    return rows


def table(times: Times, gating: float) -> dict[str, Any]:
    """What was measured: medians in ms with quartiles, and medians of ratios within a turn."""
    row: dict[str, Any] = {"turns": len(times[DENSE])}
    for form, seconds in times.items():
        row[f"{form}, ms"] = round(float(1e3 * np.median(seconds)), 2)
        quartiles = 1e3 * np.quantile(seconds, [0.25, 0.75])
        row[f"{form}, quartiles"] = "{:.2f} to {:.2f}".format(*quartiles)
    dense = np.minimum(times[DENSE], times[DENSE_LAST])
    ratios = {
        "speed-up over dense": dense / times[SKIPPING],
        "speed-up of the cut": dense / times[CUT],
        "speed-up over masked": times[MASKED] / times[SKIPPING],
        "share of the cut's speed": times[CUT] / times[SKIPPING],
        "share of the packed cut's speed": times[PACKED] / times[SKIPPING],
        "gating over dense": gating / dense,
        "calibrated over dense and gating": times[CALIBRATED] / (dense + gating),
        "calibrated over dense": times[CALIBRATED] / dense,
        "calibrated over masked": times[CALIBRATED] / times[MASKED],
    }
    row.update({key: round(float(np.median(values)), 3) for key, values in ratios.items()})
    return row


def summary(row: dict[str, Any]) -> str:
    """One line about a row."""
    cut, packed = row["share of the cut's speed"], row["share of the packed cut's speed"]
    return (
        f"{row['network']} x {row['batch']}, {row['density']:.0%}: {row[f'{SKIPPING}, ms']} ms, "
        f"{row['speed-up over dense']:.2f} x dense, {row['speed-up over masked']:.2f} x masked, "
        f"{cut:.2f} of the cut, {packed:.2f} of the packed cut, "
        f"gating {row['gating over dense']:.1%}; calibrated ({row['mode']}) "
        f"{row[f'{CALIBRATED}, ms']} ms, {row['calibrated over dense and gating']:.2f} of dense with "
        f"gating, {row['calibrated over masked']:.2f} of masked"
    )


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--batch", type=int, default=1, help="images at once")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("speed.csv"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    note = machine(options.threads, "torch", "numba")
    rows: list[dict[str, Any]] = []
    for name in options.cases:
        with torch.no_grad():
            rows += measure(name, CASES[name], options.turns, options.batch)
        write(options.out, [{**row, "machine": note} for row in rows])


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the table, after every network, so that an interrupted run has what it measured."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
