"""What scoring adds to a forward pass, for every detector.

Usage: PATHLENS_SHARED=../shared python analyses/adversarial/cost.py WORK [--turns N] [--out FOLDER]

Needs the first group of sets of run.py in the folder WORK (`run.py WORK --sets 1`). Fits every detector
as adaptive.py does, and times scoring of 128 images and of one in turn with the network's forward pass
of the same images: one thread, processor seconds, each after a call that warms up. Writes cost.csv into
tables/NETWORK beside this file, or into FOLDER.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from guards import fitted_on, sides_of
from run import HERE, prepare, read_study, tables_of
from subject import Subject, balanced
from torch import Tensor

from pathlens.attacking.classifier import ImageClassifier, in_unit_range
from pathlens.attacking.watching import Watched
from pathlens.detection import DETECTORS, DetectionData, Fitted
from pathlens.files import write_text
from pathlens.skipping.speed.timing import Times, in_turns

sys.path.append(str(HERE.parent / "benchmarks"))

from machine import machine

FORWARD = "forward pass"
IMAGES = (128, 1)
TURNS = 15


def main(work: Path, turns: int, out: Path | None) -> None:
    """Fit, time, and write the table."""
    torch.set_num_threads(1)
    study = read_study("adaptive.toml")
    prepare(work, study)
    subject, seed = Subject(study["network"], work / "cifar10"), study["seed"]
    of = sides_of(study, subject)
    fitted = {}
    for name, detector in DETECTORS.items():
        fitted[name] = fitted_on(of, detector)
        print(f"{name} is fitted", flush=True)
    pixels = subject.read(balanced(of.test, seed)[: max(IMAGES)], seed).pixels
    rows = [row for n in IMAGES for row in costs(subject, fitted, pixels[:n], turns)]
    table = pd.DataFrame(rows).assign(machine=machine(1, "torch", "numpy", "numba"))
    text = table.to_csv(index=False, float_format="%.4g")
    write_text((out or tables_of(study)) / "cost.csv", text)
    print(table.drop(columns="machine").round(4).to_string(index=False))


def costs(
    subject: Subject, fitted: Mapping[str, Fitted], pixels: Tensor, turns: int
) -> list[dict[str, Any]]:
    """A row a detector: what scoring takes of some images, beside the forward pass.

    Args:
        subject: The network.
        fitted: Name to detector.
        pixels: 8-bit images (N, 3, H, W).
        turns: Number of turns.
    """
    classifier = ImageClassifier(subject.loaded.network)
    images = in_unit_range(pixels)
    data = Watched(classifier, images[:1]).seen(pixels)
    calls = {FORWARD: lambda: classifier(images)} | {
        name: _scoring(one, data) for name, one in fitted.items()
    }
    device = images.device
    with torch.no_grad():
        times = in_turns(lambda _: calls, turns, device, clock=time.process_time)
    return shares(times, len(pixels))


def _scoring(fitted: Fitted, data: DetectionData) -> Callable[[], object]:
    return lambda: fitted.score(data)


def shares(times: Times, images: int) -> list[dict[str, Any]]:
    """Medians of times in microseconds an image, and of their ratios within a turn.

    Args:
        times: Seconds (turns,) of the forward pass and of every detector.
        images: Images at once.
    """
    rows = []
    for name in (one for one in times if one != FORWARD):
        ratios = times[name] / times[FORWARD]
        low, high = np.quantile(ratios, [0.25, 0.75])
        rows.append(
            {
                "detector": name,
                "images": images,
                "turns": len(ratios),
                "forward_us": float(1e6 * np.median(times[FORWARD]) / images),
                "scoring_us": float(1e6 * np.median(times[name]) / images),
                "share": float(np.median(ratios)),
                "share_low_quartile": float(low),
                "share_high_quartile": float(high),
            }
        )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--out", type=Path, help="where the table is written")
    asked = parser.parse_args()
    out = None if asked.out is None else asked.out.resolve()
    main(asked.work.resolve(), asked.turns, out)
