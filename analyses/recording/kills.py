"""Kill `pathlens record` at random moments, repeat the command, and count what was lost or wrong.

python analyses/recording/kills.py --kills 300 --seed 0 --out analyses/recording/kills.csv
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn.datasets
import torch._dynamo
from PIL import Image
from tqdm.auto import tqdm

import pathlens.recorder
import pathlens.training
from pathlens.cli.app import main as pathlens_command
from pathlens.recording import open_recording

# Whatever the command would load later is loaded once, here, before the forks: a kill while Python
# imports tests nothing.
LOADED = (pathlens.recorder, sklearn.datasets, torch._dynamo, Image.init())

FORK = multiprocessing.get_context("fork")

IMAGES, PART_SIZE = 96, 8
"""What is recorded: 96 image files in 12 parts, each with its thumbnails; one cannot be read."""

MOST_IN_A_ROW = 4
"""A recording is killed at most so often before it may finish."""


@dataclass(frozen=True)
class Kill:
    """One kill of a process that was alive.

    Attributes:
        recording: Number of the recording that was being made.
        after: Seconds from the fork to the kill.
        parts: Parts that had their names then.
        halves: Files that did not: `*.partial`.
        finished: Whether the manifest was there.
    """

    recording: int
    after: float
    parts: int
    halves: int
    finished: bool


@dataclass(frozen=True)
class Verdict:
    """What one recording had come to when the command was let run to its end.

    Attributes:
        files: Files that are missing, too many, or have other bytes than the uninterrupted ones.
        lost: Rows that are missing.
        wrong: Rows that are too many, or not what they are in the uninterrupted recording.
    """

    files: int
    lost: int
    wrong: int


def draw(place: Path, seed: int) -> None:
    """The images: noise in two classes that the network knows."""
    rng = np.random.default_rng(seed)
    for kind, count in (("train", 1), ("test", IMAGES // 2)):
        for name in ("2", "7"):
            folder = place / kind / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    (place / "test" / "7" / "5.png").write_bytes(b"cut short")


def train() -> None:
    """A run to record; what it has learnt does not matter."""
    pathlens.training.train(
        "small_cnn", "digits", width=0.25, limit=200, epochs=1, run="gated", progress=False
    )


def record(folder: Path) -> None:
    """The command itself, in this process; the images stand beside the folder."""
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  for the life of the process
    # The lock of progress bars is shared by forked processes: one that is killed would keep it.
    tqdm.set_lock(threading.RLock())
    options = ["--data", str(folder.parent / "images"), "--part-size", str(PART_SIZE)]
    sys.argv = ["pathlens", "record", "gated", *options, "--out", str(folder)]
    pathlens_command()


def run(target: object, *arguments: object) -> float:
    """Let a process run to its end; the seconds it took."""
    begun = time.perf_counter()
    process = FORK.Process(target=target, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"{target.__name__} ended with status {process.exitcode}")
    return time.perf_counter() - begun


def kill_one(folder: Path, number: int, delay: float) -> Kill | None:
    """Start the command and kill it; None if it was not alive any more."""
    process = FORK.Process(target=record, args=(folder,))
    begun = time.perf_counter()
    process.start()
    time.sleep(delay)
    process.kill()
    after = time.perf_counter() - begun
    process.join()
    if process.exitcode == 0:
        return None
    if process.exitcode != -signal.SIGKILL:
        sys.exit(f"the command ended with status {process.exitcode} by itself")
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    parts = sum(name.startswith("part-") and name.endswith(".parquet") for name in names)
    halves = sum(name.endswith(".partial") for name in names)
    return Kill(number, round(after, 4), parts, halves, "recording.json" in names)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file with its bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(folder: Path) -> pd.DataFrame:
    """Everything that is recorded of every image, bits as text, by id."""
    recording = open_recording(folder)
    bits = [row.tobytes() for row in recording.path_bits()]
    pictures = recording.thumbnails(range(len(recording)))
    return recording.images.assign(bits=bits, picture=pictures).set_index("image", drop=False)


def judge(folder: Path, whole: Path) -> Verdict:
    """Compare a recording with the uninterrupted one."""
    mine, theirs = contents(folder), contents(whole)
    names = set(mine) | set(theirs)
    found, expected = rows(folder), rows(whole)
    lost = expected.index.difference(found.index)
    both = found.reindex(expected.index.drop(lost))
    differ = (both != expected.loc[both.index]).any(axis=1).sum()
    return Verdict(
        files=sum(mine.get(name) != theirs.get(name) for name in names),
        lost=len(lost),
        wrong=int(differ) + len(found) - len(both),
    )


def study(place: Path, kills: int, seed: int) -> tuple[list[Kill], list[Verdict], float]:
    """Kill until so many live processes have died; every recording is finished and judged."""
    os.environ["PATHLENS_RUNS"] = str(place / "runs")
    draw(place / "images", seed)
    run(train)
    whole = place / "whole"
    run(record, whole)
    usual = run(record, place / "timed")
    rng = np.random.default_rng(seed)
    found: list[Kill] = []
    verdicts: list[Verdict] = []
    with tqdm(total=kills, unit="kill", disable=not sys.stderr.isatty()) as bar:
        while len(found) < kills:
            folder = place / f"recording-{len(verdicts)}"
            for _ in range(int(rng.integers(1, MOST_IN_A_ROW + 1))):
                one = kill_one(folder, len(verdicts), rng.uniform(0, usual))
                if one is not None:
                    found.append(one)
                    bar.update()
            run(record, folder)
            verdicts.append(judge(folder, whole))
    return found, verdicts, usual


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="kills of a live process, at least")
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    parser.add_argument("--out", type=Path, help="table of all kills")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        kills, verdicts, usual = study(Path(place), arguments.kills, arguments.seed)
    if arguments.out is not None:
        with arguments.out.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, asdict(kills[0]).keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(kill) for kill in kills)
    print(
        json.dumps(
            {
                "kills": len(kills),
                "recordings": len(verdicts),
                "seconds_uninterrupted": round(usual, 3),
                "before_the_first_part": sum(kill.parts == 0 for kill in kills),
                "while_a_file_was_half_written": sum(kill.halves > 0 for kill in kills),
                "after_the_manifest": sum(kill.finished for kill in kills),
                "files_that_differ": sum(verdict.files for verdict in verdicts),
                "rows_lost": sum(verdict.lost for verdict in verdicts),
                "rows_wrong": sum(verdict.wrong for verdict in verdicts),
            }
        )
    )


if __name__ == "__main__":
    main()
