"""Time of the exact search for combinations, alone and beside mlxtend and pysubgroup.

python analyses/benchmarks/associations.py RECORDING [--layers 15 17 18] [--threads 2] [--peers]
    [--limit 300] [--images 10000 100000 1000000] [--out FILE.csv]

RECORDING is a recording with labels, such as that of CIFAR-10's test images by a decoupled network.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from machine import machine

from pathlens.analysis.associating.qualities import Phi, value
from pathlens.analysis.associating.search import Found, search_layer
from pathlens.recording import open_recording

Array = np.ndarray[Any, Any]
Answers = list[float]
SIZE = 3
TOP = 3


def drawn(
    where: argparse.Namespace, images: int, filters: int, concepts: int
) -> tuple[Array, Array]:
    """Bits and concepts with the on-rates of real layers.

    Images are drawn with replacement. Filters beyond those recorded are the same ones for other images
    of the same class, so that they have the same rates and go with classes as much as the real ones.
    Concepts are the classes, unions of some, and conjunctions of two or three filters with noise.
    """
    recording = open_recording(where.recording)
    bits = np.hstack([recording.bits(layer) for layer in where.layers])
    bits = bits[:, (bits.mean(axis=0) > 0.005) & (bits.mean(axis=0) < 0.995)]
    labels, rng = recording.images["label"].to_numpy(), np.random.default_rng(0)
    chosen = rng.integers(0, len(labels), images)
    parts = [bits[chosen]]
    while sum(part.shape[1] for part in parts) < filters:
        rows = np.zeros(images, dtype=np.int64)
        for one in np.unique(labels):
            here = labels[chosen] == one
            rows[here] = rng.choice(np.flatnonzero(labels == one), here.sum())
        parts.append(bits[rows])
    on = np.hstack(parts)
    on = on[:, np.sort(rng.permutation(on.shape[1])[:filters])]
    return on, _concepts(on, labels[chosen], concepts, rng)


def _concepts(on: Array, labels: Array, count: int, rng: np.random.Generator) -> Array:
    classes = np.unique(labels)
    columns = [labels == one for one in classes[:count]]
    while len(columns) < min(count, 3 * len(classes)):
        columns.append(np.isin(labels, rng.choice(classes, rng.integers(2, 6), replace=False)))
    while len(columns) < count:
        those = rng.choice(on.shape[1], rng.integers(2, 4), replace=False)
        has = on[:, those].all(axis=1)
        if has.mean() > 0.005:
            noisy = rng.random(len(on)) < rng.uniform(0.02, 0.3)
            columns.append(np.where(noisy, rng.random(len(on)) < has.mean(), has))
    return np.stack(columns, axis=1)


def ours(on: Array, has: Array, threads: int, quality: str = "phi") -> Found:
    """The best three sets of each concept."""
    return search_layer(on, has, max_size=SIZE, top=TOP, quality=quality, threads=threads)


def best_of(found: Found, concepts: int) -> Answers:
    """The best value of each concept."""
    return [float(found.value[found.concept == one].max()) for one in range(concepts)]


def seconds(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """By the clock and of the processor, and what came out."""
    clock, processor = time.perf_counter(), time.process_time()
    found = call()
    return time.perf_counter() - clock, time.process_time() - processor, found


def mlxtend_best(on: Array, has: Array, joint: int) -> Answers:
    """The best phi of each concept by frequent itemsets of all images and of those with the concept.

    One search over filters and concepts together would have to count all sets of four; the rules are
    a join of two tables. The least support is given away: the joint images of the rarest answer.
    """
    from mlxtend.frequent_patterns import fpgrowth

    table = pd.DataFrame(on)
    every = fpgrowth(table, min_support=joint / len(on), max_len=SIZE).set_index("itemsets")
    answers = []
    for column in has.T:
        part = fpgrowth(table[column], min_support=joint / column.sum(), max_len=SIZE)
        rules = part.set_index("itemsets").join(every, rsuffix="_all")
        both = np.round(rules["support"].to_numpy() * column.sum())
        support = np.round(rules["support_all"].to_numpy() * len(on))
        answers.append(float(value(Phi(), both, support, column.sum(), len(on)).max()))
    return answers


def pysubgroup_best(on: Array, has: Array, algorithm: str) -> Answers:
    """The best weighted relative accuracy of each concept."""
    import pysubgroup as ps

    answers = []
    for column in has.T:
        table = pd.DataFrame(on, columns=[f"f{i}" for i in range(on.shape[1])]).assign(has=column)
        selectors = [ps.EqualitySelector(name, True) for name in table.columns[:-1]]
        task = ps.SubgroupDiscoveryTask(
            table,
            ps.BinaryTarget("has", True),
            selectors,
            qf=ps.WRAccQF(),
            result_set_size=TOP,
            depth=SIZE,
        )
        search = ps.DFS(ps.BitSetRepresentation) if algorithm == "DFS" else getattr(ps, algorithm)()
        answers.append(float(search.execute(task).results[0][0]))
    return answers


def present(name: str) -> bool:
    """Whether a peer is installed; says so where not."""
    try:
        importlib.import_module(name)
    except ImportError as missing:
        print(f"{name} is left out: {missing}")
        return False
    return True


def limited(call: Callable[[], Answers], limit: int) -> tuple[float, float, Answers | None]:
    """By the clock and of the processor, and what came out; None if it took more than the limit.

    Args:
        call: Runs in a process of its own.
        limit: Processor seconds after which it is stopped.
    """
    here = multiprocessing.get_context("fork")
    receiver, sender = here.Pipe(duplex=False)

    def run() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        sender.send(seconds(call))

    start, before = time.perf_counter(), _children()
    child = here.Process(target=run)
    child.start()
    sender.close()
    try:
        found: tuple[float, float, Answers | None] = receiver.recv()
    except EOFError:
        found = 0.0, 0.0, None
    child.join()
    return found if found[2] else (time.perf_counter() - start, _children() - before, None)


def _children() -> float:
    """Processor seconds of children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def beside(
    name: str,
    mine: Callable[[], Answers],
    theirs: Callable[[], Answers],
    limit: int,
    turns: int = 5,
) -> dict[str, object]:
    """Both times and answers; ours is the median of some turns.

    A peer that was stopped has taken more than its time here (">").
    """
    own = np.median([seconds(mine)[:2] for _ in range(turns)], axis=0)
    clock, processor, answers = limited(theirs, limit)
    if answers is not None and not np.allclose(answers, mine(), atol=1e-9):
        raise SystemExit(f"The answers of {name} differ: {answers} and {mine()}.")
    more = ">" if answers is None else ""
    return {
        "search": f"beside {name}",
        "seconds": f"{own[0]:.3f}",
        "processor_s": f"{own[1]:.3f}",
        "peer_s": f"{more}{clock:.2f}",
        "peer_processor_s": f"{more}{processor:.2f}",
        "times_faster": f"{more}{clock / own[0]:.0f}",
        "times_faster_processor": f"{more}{processor / own[1]:.0f}",
    }


def peers(where: argparse.Namespace) -> list[dict[str, object]]:
    """10,000 images, 128 filters, 10 concepts, as each peer does it best."""
    on, has = drawn(where, 10_000, 128, 10)
    shape = {"images": len(on), "filters": on.shape[1], "concepts": has.shape[1]}
    rows = []
    if present("mlxtend"):
        found = ours(on, has, where.threads)
        joint = min(_joint(on, has, found, row) for row in range(len(found)))
        rows.append(
            beside(
                "mlxtend fpgrowth",
                lambda: best_of(ours(on, has, where.threads), has.shape[1]),
                lambda: mlxtend_best(on, has, joint),
                where.limit,
            )
        )
    if present("pysubgroup"):
        tried = {
            name: seconds(lambda name=name: pysubgroup_best(on[:, :24], has[:, :1], name))[1]
            for name in ("DFS", "Apriori", "BestFirstSearch", "GpGrowth")
        }
        print("pysubgroup, one concept and 24 filters:", {n: round(t, 2) for n, t in tried.items()})
        best = min(tried, key=lambda name: tried[name])
        rows.append(
            beside(
                f"pysubgroup {best}",
                lambda: best_of(ours(on, has, where.threads, "wracc"), has.shape[1]),
                lambda: pysubgroup_best(on, has, best),
                where.limit,
            )
        )
    return [{**row, **shape} for row in rows]


def _joint(on: Array, has: Array, found: Found, row: int) -> int:
    members = found.members[row][found.members[row] >= 0]
    return int((on[:, members].all(axis=1) & has[:, found.concept[row]]).sum())


def alone(where: argparse.Namespace, images: int, filters: int, concepts: int) -> dict[str, object]:
    """Time and memory of one search of the discovery half."""
    on, has = drawn(where, images // 2, filters, concepts)
    clock, processor, found = seconds(lambda: ours(on, has, where.threads))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "search": "alone, discovery half",
        "images": images,
        "filters": filters,
        "concepts": concepts,
        "seconds": f"{clock:.2f}",
        "processor_s": f"{processor:.2f}",
        "candidates": found.candidates,
        "visited": found.visited,
        "memory_gib": f"{memory:.2f}",
    }


def main() -> None:
    """Measure one size after the other, then the peers, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--layers", type=int, nargs="+", default=[15, 17, 18])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--limit", type=int, default=300, help="processor seconds of a peer")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("associations.csv"))
    asked = parser.parse_args()
    place, rows = machine(asked.threads, "numba"), []
    on, has = drawn(asked, 200, 12, 3)
    print(place)
    print(f"first call (compiled, or read from disk): {seconds(lambda: ours(on, has, 1))[0]:.2f} s")
    # The full width at the size that was asked for; fewer filters and concepts show the growth.
    jobs: list[Callable[[], list[dict[str, object]]]] = [
        lambda: [alone(asked, 10_000, 512, 100)],
        *(lambda n=n: [alone(asked, n, 128, 10)] for n in asked.images),
        *([lambda: peers(asked)] if asked.peers else []),
    ]
    for job in jobs:
        for row in job():
            rows.append({**row, "machine": place})
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    with asked.out.open("w", newline="") as handle:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(handle, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
