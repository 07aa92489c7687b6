"""Time of the exact nearest neighbours of paths, beside scikit-learn's brute force.

python analyses/benchmarks/neighbours.py [--rows 50000] [--bits 512] [--threads 1] [--repeats 3]
    [--out FILE.csv]
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from pathlens.analysis.neighbours import nearest

NEIGHBOURS = 15
CHOSEN_AMONG = 5000
Array = np.ndarray[Any, Any]


def paths(rows: int, bits: int) -> Array:
    """Random paths around 100 prototypes, with on-rates between 0.1 and 0.6: bool (rows, bits)."""
    rng = np.random.default_rng(0)
    prototypes = rng.random((100, bits)) < rng.uniform(0.1, 0.6, bits)
    return prototypes[rng.integers(0, 100, rows)] ^ (rng.random((rows, bits)) < 0.1)


def ours(codes: Array, threads: int) -> Callable[[], Array]:
    """Distances in gates by PathLens."""
    return lambda: nearest(codes, count=NEIGHBOURS, threads=threads)[0]


def euclidean(codes: Array) -> Callable[[], Array]:
    """Distances in gates by scikit-learn's BLAS: for bits, the square of the Euclidean distance."""
    found = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute", metric="euclidean")
    found.fit(codes.astype(np.float32))
    return lambda: np.round(found.kneighbors()[0] ** 2)


def hamming(codes: Array) -> Callable[[], Array]:
    """Distances in gates by scikit-learn's Hamming metric."""
    found = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute", metric="hamming").fit(codes)
    return lambda: np.round(codes.shape[1] * found.kneighbors()[0])


def seconds(call: Callable[[], Array]) -> tuple[float, float, Array]:
    """By the clock and of the processor, and what came out."""
    clock, processor = time.perf_counter(), time.process_time()
    found = call()
    return time.perf_counter() - clock, time.process_time() - processor, found


def measure(
    rows: int, bits: int, calls: dict[str, Callable[[], Array]], turns: int
) -> dict[str, object]:
    """Medians of calls taken in turn, whose distances have to be the same."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(turns):
        results = []
        for name, call in calls.items():
            clock, processor, found = seconds(call)
            times[name].append((clock, processor))
            results.append(found)
        if not all(np.array_equal(results[0], other) for other in results[1:]):
            raise SystemExit("The distances differ.")
    row: dict[str, object] = {"rows": rows, "bits": bits, "turns": turns}
    for name, values in times.items():
        clock, processor = np.median(values, axis=0)
        row |= {f"{name}_s": f"{clock:.2f}", f"{name}_processor_s": f"{processor:.2f}"}
    for kind, place in (("", 0), ("_processor", 1)):
        ratio = [b[place] / a[place] for a, b in zip(*list(times.values())[:2], strict=True)]
        row[f"times_faster{kind}"] = f"{np.median(ratio):.1f}"
    return row


def main() -> None:
    """Let both metrics of scikit-learn run on few rows, the better one on all, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--bits", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("neighbours.csv"))
    asked = parser.parse_args()
    where, table = machine(asked.threads, "numba", "scikit-learn"), []
    print(where)
    first = seconds(ours(paths(NEIGHBOURS + 1, asked.bits), 1))[0]
    print(f"first call (compiled, or read from disk): {first:.2f} s")
    with threadpool_limits(asked.threads):
        few, all_of_them = (paths(n, asked.bits) for n in (CHOSEN_AMONG, asked.rows))
        calls = {
            "pathlens": ours(few, asked.threads),
            "euclidean": euclidean(few),
            "hamming": hamming(few),
        }
        table.append(measure(CHOSEN_AMONG, asked.bits, calls, asked.repeats))
        print("  ".join(f"{name} {value}" for name, value in table[-1].items()), flush=True)
        # The Hamming metric would take many minutes; both grow with the square of the rows.
        calls = {"pathlens": ours(all_of_them, asked.threads), "euclidean": euclidean(all_of_them)}
        table.append(measure(asked.rows, asked.bits, calls, asked.repeats))
        print("  ".join(f"{name} {value}" for name, value in table[-1].items()), flush=True)
    with asked.out.open("w", newline="") as handle:
        columns = [*table[0], "machine"]
        writer = csv.DictWriter(handle, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({**entry, "machine": where} for entry in table)


if __name__ == "__main__":
    main()
