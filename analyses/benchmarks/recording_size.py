"""Memory, size and reading of a recording, and how its cost grows with the images.

python analyses/benchmarks/recording_size.py [--images 1000000] [--repeats 5] [--out FILE.csv]
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from machine import machine

from pathlens.layers import Layer, LayerTable
from pathlens.recording import PartRows, Plan, Recording, RecordingWriter, open_recording
from pathlens.recording.manifest import image_fingerprint

if TYPE_CHECKING:
    from pathlens.datasets import ImageSplit
    from pathlens.decoupling.network import DecoupledNetwork

FILTERS = (512, *(72,) * 40, *(64,) * 13)
"""54 layers with 4,224 filters; the first one is the one that is read."""

CLASSES = tuple(f"n{number:08d}" for number in range(1000))
COLUMNS = ("image", "label", "prediction", "confidence", "macs", "content")
STEP = 100_000
FOOTER = 1 << 16
"""So many bytes at the end of a file are read at once to find its footer."""

MEMORY_IMAGES = (1_000, 100_000)

Row = dict[str, object]


def drawn_split(images: int) -> ImageSplit:
    """Some hundred drawn images that come again and again.

    Their pixels take the same memory however many images there are; ids are made for all of them, as
    every plan holds them.
    """
    from pathlens.datasets import ImageSplit

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (256, 32, 32, 3), dtype=np.uint8)
    ids = tuple(f"test/{number:06d}.jpg" for number in range(images))
    labels = np.arange(images) % 10
    return ImageSplit("test", ids, labels, CLASSES[:10], lambda i: pixels[i % len(pixels)])


def drawn_network(model: str) -> DecoupledNetwork:
    """A decoupled network with random weights."""
    import torch

    from pathlens.decoupling import decouple
    from pathlens.models import build_model

    return decouple(build_model(model, 10, 1.0), torch.zeros(1, 3, 32, 32)).eval()


def peak() -> int:
    """Largest memory of this process so far, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def record_once(images: int, model: str, batch: int) -> int:
    """Record drawn images with thumbnails in this process; its largest memory in KiB."""
    import torch

    from pathlens.datasets.loader import View
    from pathlens.recorder.columns import OptionalColumns
    from pathlens.recorder.parts import PartRecorder, Paths
    from pathlens.recorder.processes import Place
    from pathlens.recorder.writing import write_missing
    from pathlens.recording.shards import Shard

    split, network, view = drawn_split(images), drawn_network(model), View.of(32, 32)
    assert split.labels is not None
    plan = Plan(
        checkpoint="a" * 64,
        model=model,
        layers=network.layers,
        images=images,
        fingerprint=image_fingerprint(split.ids, split.labels),
        columns=COLUMNS,
        thumbnails=True,
        classes=split.classes,
    )
    columns = OptionalColumns((), network, 10, torch.zeros(1, 3, 32, 32))
    recorder = PartRecorder(Paths(network), split, view, "cpu", batch, columns)
    with tempfile.TemporaryDirectory() as folder:
        write_missing(
            Path(folder) / "recording",
            plan,
            recorder,
            place=Place(Shard(), "cpu"),
            changed=False,
            progress=False,
            say=lambda line: None,
        )
    return peak()


def forward_once(images: int, model: str, batch: int) -> int:
    """Run loader and network over the same images and keep nothing; largest memory in KiB."""
    import torch

    from pathlens.datasets.loader import ImageLoader, View, centre, normalise
    from pathlens.training.evaluation import in_batches

    split, network, view = drawn_split(images), drawn_network(model), View.of(32, 32)
    loader = ImageLoader(split, view, cache_bytes=0)
    with torch.inference_mode():
        for read in loader.batches(in_batches(range(images), batch)):
            network.with_path(normalise(centre(read.canvas, view)), responses=False)
    return peak()


def memory(model: str, batch: int, repeats: int) -> list[Row]:
    """Largest memory of processes that record few and many images, by turns; medians.

    Beside it that of processes that only run the network: what grows there is no row that is kept.
    """
    cases = [(what, images) for what in ("record", "forward") for images in MEMORY_IMAGES]
    found: dict[tuple[str, int], list[int]] = {case: [] for case in cases}
    for _ in range(repeats):
        for (what, images), sizes in found.items():
            command = [sys.executable, __file__, f"--{what}", str(images), "--model", model]
            done = subprocess.run(
                [*command, "--batch", str(batch)], capture_output=True, text=True, check=True
            )
            sizes.append(int(done.stdout))
    rows = []
    for what, words in (("record", "recording"), ("forward", "loader and forward pass alone")):
        few, many = (float(np.median(found[what, images])) / 1024 for images in MEMORY_IMAGES)
        wanted = "at most 1.05" if what == "record" else ""
        rows += [
            figure(f"largest memory, 1,000 images, {words}", few, "MiB"),
            figure(f"largest memory, 100,000 images, {words}", many, "MiB"),
            figure(f"the second over the first, {words}", many / few, "", wanted),
        ]
    return rows


def drawn_plan(images: int) -> tuple[Plan, list[str]]:
    """The plan of a recording the size of ImageNet's, and its ids."""
    layers = LayerTable(
        Layer(number, f"layer{number:02d}.conv", filters)
        for number, filters in enumerate(FILTERS, start=1)
    )
    ids = [
        f"val/{CLASSES[i * len(CLASSES) // images]}/ILSVRC2012_val_{i:08d}.JPEG"
        for i in range(images)
    ]
    plan = Plan(
        checkpoint="a" * 64,
        model="54 layers",
        layers=layers,
        images=images,
        fingerprint=image_fingerprint(ids),
        columns=COLUMNS,
        classes=CLASSES,
    )
    return plan, ids


def drawn_rows(plan: Plan, ids: list[str], index: int, rng: np.random.Generator) -> PartRows:
    """A part of which half of all bits are on, at random: nothing can compress them."""
    positions = plan.part_range(index)
    count = len(positions)
    labels = np.array(positions) * len(CLASSES) // plan.images
    images = pd.DataFrame(
        {
            "image": ids[positions.start : positions.stop],
            "label": labels,
            "prediction": np.where(rng.random(count) < 0.7, labels, rng.integers(0, 1000, count)),
            "confidence": rng.random(count, dtype=np.float32),
            "macs": rng.integers(10**9, 4 * 10**9, count),
            "content": [rng.bytes(8) for _ in positions],
        }
    )
    # every number of filters is a multiple of 8, so that no bit is padding
    bits = {
        layer.name: rng.integers(0, 256, (count, layer.filters // 8), dtype=np.uint8)
        for layer in plan.layers
    }
    return PartRows(images=images, bits=bits)


def growth(folder: Path, images: int) -> list[Row]:
    """Write a recording through the real writer; seconds for every 100,000 images."""
    plan, ids = drawn_plan(images)
    rng = np.random.default_rng(0)
    seconds = np.zeros(-(-images // STEP))
    counts = np.zeros(len(seconds))
    with RecordingWriter(folder, plan) as writer:
        for index in writer.missing_parts():
            rows = drawn_rows(plan, ids, index, rng)
            begin = time.perf_counter()
            writer.write_part(index, rows)
            step = writer.part_range(index).start // STEP
            seconds[step] += time.perf_counter() - begin
            counts[step] += len(rows.images)
        begin = time.perf_counter()
        writer.finish()
        finish = time.perf_counter() - begin
    per_step = seconds / counts * STEP
    size = sum(path.stat().st_size for path in folder.iterdir())
    bits = sum(layer.filters for layer in plan.layers) / 8
    found = [
        figure(
            f"writing images {i * STEP:,} to {min((i + 1) * STEP, images):,}", value, "s/100,000"
        )
        for i, value in enumerate(per_step)
    ]
    half = len(per_step) // 2
    if half:
        late = np.median(per_step[-half:]) / np.median(per_step[:half])
        found.append(figure("second half over first half", late, "", "1: linear"))
    return [
        *found,
        figure("finishing", finish, "s"),
        figure("size", size / 1e6, "MB"),
        figure("bytes an image beside its bits", size / images - bits, "bytes", "at most 64"),
    ]


def reading(folder: Path, repeats: int) -> list[Row]:
    """Read the first layer; which bytes were read, as the system counts them."""
    begin = time.perf_counter()
    recording = open_recording(folder)
    opening = time.perf_counter() - begin
    name = recording.layers[0].name
    column = column_bytes(recording, name)
    allowed = column + len(recording.listing.parts) * FOOTER
    seconds, read = [], 0
    for _ in range(repeats):
        before = bytes_read()
        begin = time.perf_counter()
        bits = recording.bits(name)
        seconds.append(time.perf_counter() - begin)
        read = bytes_read() - before
        assert bits.shape[0] == len(recording)
        assert read <= 1.01 * allowed, f"{read} bytes read, {allowed} of the layer and the footers"
    begin = time.perf_counter()
    on = sum(int(np.count_nonzero(part)) for part in recording.bits_in_parts(name))
    in_parts = time.perf_counter() - begin
    assert on == np.count_nonzero(bits)
    return [
        figure("opening", opening, "s"),
        figure(f"reading one layer of {bits.shape[1]} filters", np.median(seconds), "s", "below 1"),
        figure("reading it part by part, and counting", in_parts, "s"),
        figure("its column", column / 1e6, "MB"),
        figure("read for it, up to 64 KiB a part for footers", read / 1e6, "MB"),
        figure("all parts", sum(x.data.size for x in recording.listing.parts) / 1e6, "MB"),
    ]


def column_bytes(recording: Recording, layer: str) -> int:
    """Bytes that one layer's column takes in all parts."""
    total = 0
    for part in recording.listing.parts:
        footer = pq.read_metadata(recording.folder / part.data.file)
        place = footer.schema.names.index("path." + layer)
        for group in range(footer.num_row_groups):
            total += footer.row_group(group).column(place).total_compressed_size
    return total


def bytes_read() -> int:
    """Bytes that this process has read from files so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


def figure(what: str, value: float, unit: str, wanted: str = "") -> Row:
    """One line of the table."""
    line = {"what": what, "value": f"{value:.3f}", "unit": unit, "wanted": wanted}
    print("  ".join(f"{part}" for part in line.values()), flush=True)
    return line


def main() -> None:
    """Measure everything, print a line each, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--model", default="resnet20", help="recorded for its memory")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--only", choices=["memory", "growth"])
    parser.add_argument("--record", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--forward", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("recording_size.csv"))
    asked = parser.parse_args()
    if asked.record is not None:
        print(record_once(asked.record, asked.model, asked.batch))
        return
    if asked.forward is not None:
        print(forward_once(asked.forward, asked.model, asked.batch))
        return
    rows: list[Row] = []
    if asked.only != "growth":
        rows += memory(asked.model, asked.batch, asked.repeats)
    if asked.only != "memory":
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "recording"
            rows += growth(folder, asked.images)
            rows += reading(folder, asked.repeats)
    about = {"images": asked.images, "repeats": asked.repeats, "machine": machine("all", "pyarrow")}
    with asked.out.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, [*rows[0], *about], lineterminator="\n")
        writer.writeheader()
        writer.writerows(entry | about for entry in rows)


if __name__ == "__main__":
    main()
