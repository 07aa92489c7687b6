"""Where the time of skipping goes, step by step, beside the same network statically cut to the path.

python analyses/benchmarks/skipping/where_time_goes.py [--cases vgg16 ...] [--paths 7] [--density 0.5]
    [--steps FILE.csv]

Batch 1, one thread, processor time, a random path every turn, medians. Writes where_time_goes.csv, sums
over steps by kind, and a row a step where --steps is given. The cut is the packed one of speed.py.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pandas as pd
import torch
from speed import CASES, built, drawn
from torch import Tensor

from pathlens.decoupling import decouple
from pathlens.skipping import SkippingNetwork, skip
from pathlens.skipping.speed.profile import milliseconds, profile, timed

HERE = Path(__file__).resolve().parent


@torch.inference_mode()
def of_the_cut(network: SkippingNetwork, x: Tensor, path: dict[str, Tensor]) -> list[float]:
    """Milliseconds of every step of the network cut to a path, in its second run."""
    static = network.static({name: gates[0] for name, gates in path.items()}, x)
    static.plan = timed(static.plan, time.process_time, network.device)
    for _ in range(2):
        static(x)
    return [milliseconds(step) for step in static.plan.steps]


def measured(name: str, px: int, density: float, paths: int) -> pd.DataFrame:
    """A row a step and path: network, step, kind, share, dense_ms, skipping_ms, cut_ms."""
    x = torch.randn(1, 3, px, px, generator=torch.Generator().manual_seed(1))
    network = decouple(built(name), x).eval()
    skipping = skip(network, x, cache_bytes=0)
    found = []
    for seed in range(paths):
        path = drawn(network, density, seed)
        rows = profile(skipping, x, force=path, turns=1, clock=time.process_time)
        rows.insert(0, "number", range(len(rows)))
        rows["cut_ms"] = 0.0
        rows.loc[rows["kind"] != "gating", "cut_ms"] = of_the_cut(skipping, x, path)
        found.append(rows)
    return pd.concat(found)


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--paths", type=int, default=7)
    parser.add_argument("--density", type=float, default=0.5)
    parser.add_argument("--steps", type=Path, help="table of all steps")
    options = parser.parse_args()
    torch.set_num_threads(1)
    times = ["dense_ms", "skipping_ms", "cut_ms"]
    by_step, by_kind = [], []
    for name in options.cases:
        with torch.no_grad():
            rows = measured(name, CASES[name], options.density, options.paths)
        steps = rows.groupby(["number", "step", "kind"])[["share", *times]].median().reset_index()
        by_step.append(steps.assign(network=name).set_index("network"))
        kinds = steps.groupby("kind")[times].sum().reset_index()
        by_kind.append(kinds.assign(network=name).set_index("network"))
        print(by_kind[-1].round(2).to_string(), flush=True)
        pd.concat(by_kind).round(4).to_csv(HERE / "where_time_goes.csv")
        if options.steps is not None:
            pd.concat(by_step).round(4).to_csv(options.steps)


if __name__ == "__main__":
    main()
