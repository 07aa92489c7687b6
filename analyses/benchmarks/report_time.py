"""Time of a report, and of the counts that it stands on.

python analyses/benchmarks/report_time.py [RECORDING] [--repeats 3] [--images 1000000] [--out FILE.csv]

Without a recording, images of ten planted classes are drawn: 10,000 with 54 layers of 4,224 filters.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from machine import machine

import pathlens
from pathlens.layers import Layer, LayerSpec, LayerTable
from pathlens.recording import Recording, open_recording, write_recording

FILTERS = (*(64,) * 18, *(72,) * 18, *(96,) * 16, 96, 144)
"""54 layers; together 4,224 filters."""
CLASSES = tuple("abcdefghij")
Bits = npt.NDArray[np.bool_]
Row = dict[str, object]


@dataclass(frozen=True)
class DrawnPaths:
    """As many images as wanted, whose gates are drawn part by part and never held together.

    Gates are on at random, with rates that differ between filters and, by a tenth, between classes.
    """

    count: int
    part: int = 50_000

    @property
    def layers(self) -> LayerTable:
        """54 layers."""
        return LayerTable(Layer(i, f"layer{i}", f) for i, f in enumerate(FILTERS, start=1))

    @property
    def classes(self) -> tuple[str, ...]:
        """Ten classes."""
        return CLASSES

    @property
    def images(self) -> pd.DataFrame:
        """Ids and labels."""
        number = np.arange(self.count)
        return pd.DataFrame({"image": number.astype(str), "label": number % len(CLASSES)})

    def bits_in_parts(self, layer: LayerSpec) -> Iterator[Bits]:
        """Gates of one layer, a part at a time."""
        found = self.layers.find(layer)
        rng = np.random.default_rng(found.index)
        rates = rng.random((len(CLASSES), found.filters), dtype=np.float32) * 0.2
        rates += rng.random(found.filters, dtype=np.float32) * 0.8
        drawn = rng.random((self.part, found.filters), dtype=np.float32)
        for start in range(0, self.count, self.part):
            rows = np.arange(start, min(start + self.part, self.count)) % len(CLASSES)
            yield drawn[: len(rows)] < rates[rows]

    def bits(self, layer: LayerSpec) -> Bits:
        """Gates of one layer at once."""
        return np.concatenate(list(self.bits_in_parts(layer)))

    def concepts(self) -> pd.DataFrame | None:
        """None."""
        return None


def planted(folder: Path) -> Recording:
    """10,000 images of ten classes: a prototype a class and layer, the clearer the deeper the layer."""
    rng = np.random.default_rng(0)
    label = np.arange(10_000) % len(CLASSES)
    bits = {}
    for number, filters in enumerate(FILTERS):
        own = (rng.random((len(CLASSES), filters)) < 0.5)[label]
        noise = rng.random((len(label), filters)) < 0.5 - 0.4 * number / len(FILTERS)
        bits[f"layer{number + 1}"] = own ^ noise
    images = pd.DataFrame({"image": [f"{i:05d}.png" for i in range(len(label))], "label": label})
    return write_recording(folder, bits, images, classes=CLASSES)


def timed_report(recording: Recording, folder: Path, layers: list[int] | None) -> list[float]:
    """Seconds of a report made in a fresh process, and of the same call again in another."""
    chosen = [f"--layer={layer}" for layer in layers or []]
    command = [sys.executable, "-m", "pathlens", "report", str(recording.folder), *chosen]
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        subprocess.run([*command, "--out", str(folder)], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return seconds


def reports(recording: Recording, repeats: int) -> list[Row]:
    """Reports of one layer and of all of them, cold and unchanged."""
    one = min(10, len(recording.layers))
    plan = {"report of one layer": [one], f"report of {len(recording.layers)} layers": None}
    rows = []
    for what, layers in plan.items():
        turns = []
        for _ in range(repeats if layers else 1):
            with tempfile.TemporaryDirectory() as folder:
                turns.append(timed_report(recording, Path(folder) / "report", layers))
        cold, again = np.median(turns, axis=0)
        wanted = (60, 5) if layers else (240, 5)
        rows.append(figure(f"{what}, {len(recording):,} images", cold, "s", wanted[0]))
        rows.append(figure(f"{what}, nothing changed", again, "s", wanted[1]))
    return rows


def counts_once(images: int) -> None:
    """Print seconds of states and class paths, and this process's largest memory in GB."""
    data = DrawnPaths(images)
    start = time.perf_counter()
    pathlens.analysis.filter_states(data)
    pathlens.analysis.class_paths(data)
    took = time.perf_counter() - start
    drawing = time.perf_counter()
    for layer in data.layers:
        for _ in data.bits_in_parts(layer.name):
            pass
    drawing = time.perf_counter() - drawing
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(took, drawing, peak)


def counts(images: int) -> list[Row]:
    """States and class paths of many images, in a process of their own."""
    command = [sys.executable, __file__, "--images", str(images), "--counts"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    took, drawing, peak = map(float, done.stdout.split())
    what = f"states and class paths, {images:,} images x {sum(FILTERS):,} filters"
    return [
        figure(what, took, "s", 120),
        figure("of which, twice, drawing the gates", 2 * drawing, "s", None),
        figure(f"{what}: largest memory", peak, "GB", 2),
    ]


def figure(what: str, value: float, unit: str, at_most: float | None) -> Row:
    """One line of the table."""
    return {
        "what": what,
        "value": round(float(value), 2),
        "unit": unit,
        "at_most": at_most,
        "machine": machine(os.environ.get("OMP_NUM_THREADS", "all"), "numpy"),
    }


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", nargs="?", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--counts", action="store_true", help="count only, in this process")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    asked = parser.parse_args()
    if asked.counts:
        counts_once(asked.images)
        return
    with tempfile.TemporaryDirectory() as folder:
        made = planted(Path(folder) / "planted")
        chosen = open_recording(asked.recording) if asked.recording else made
        rows = [*counts(asked.images), *reports(chosen, asked.repeats)]
    with asked.out.open("w", newline="", encoding="utf-8") as target:
        table = csv.DictWriter(target, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    for row in rows:
        print(f"{row['what']}: {row['value']} {row['unit']} (at most {row['at_most'] or '-'})")


if __name__ == "__main__":
    main()
