"""Which gradient through the gates fools the kept network most often.

Usage: PATHLENS_SHARED=../shared python analyses/adversarial/gradients.py WORK
           [--images N] [--out FOLDER]

Attacks the same images with each gradient, as gradients.toml lists; success is decided on 8-bit images
with hard gates, whatever gates the gradient went through. Writes gradients.csv into tables/NETWORK
beside this file, or into FOLDER. What is finished is kept in WORK/gradients.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kept import made_or_kept
from run import prepare, read_study, tables_of
from subject import Subject, balanced

from pathlens.analysis.rate_tests import paired_interval, wilson_interval
from pathlens.attacking import find_alteration
from pathlens.attacking.alteration import Clean
from pathlens.attacking.classifier import GRADIENT_GATES
from pathlens.files import write_text
from pathlens.recording.manifest import image_fingerprint

DEFAULT = GRADIENT_GATES[0]
"""What attacks follow unless something else is asked for."""


def attacked(
    subject: Subject, clean: Clean, label: str, gates: str, folder: Path
) -> tuple[np.ndarray, float]:
    """Where the network is fooled, bool (images,), and the processor seconds."""
    asked = {
        "label": label,
        "gates": gates,
        "checkpoint": subject.loaded.checkpoint,
        "images": image_fingerprint(clean.ids, clean.labels.numpy()),
        "seed": clean.seed,
    }
    attack = find_alteration(label)
    made = made_or_kept(
        folder / f"{label}-{gates}-{len(clean)}.npz",
        asked,
        lambda: subject.alter(attack, clean, gates),
    )
    print(f"{label}, {gates}: {made.seconds:.0f} s", flush=True)
    return subject.fooled(clean, made.pixels), made.seconds


def compared(found: dict[str, tuple[np.ndarray, float]], label: str) -> list[dict[str, Any]]:
    """A row a kind of gates: share fooled, and what the default fools more, on the same images.

    Args:
        found: Gates to where the network is fooled and the seconds that it took.
        label: The attack.
    """
    usual = found[DEFAULT][0]
    rows = []
    for gates, (fooled, seconds) in found.items():
        hits, n = int(fooled.sum()), len(fooled)
        low, high = wilson_interval(hits, n)
        only = (int((fooled & ~usual).sum()), int((usual & ~fooled).sum()))
        itself = np.array(np.nan), np.array(np.nan)
        held = paired_interval(np.array(only[0]), np.array(only[1]), n)
        less, more = itself if gates == DEFAULT else held
        rows.append(
            {
                "attack": label,
                "gates": gates,
                "default": gates == DEFAULT,
                "n": n,
                "fooled": hits / n,
                "fooled_low": float(low),
                "fooled_high": float(high),
                "default_more": (only[1] - only[0]) / n,
                "default_more_low": float(less),
                "default_more_high": float(more),
                "seconds": seconds,
            }
        )
    return rows


def main(work: Path, images: int | None, out: Path | None) -> None:
    """Attack what is not attacked yet, and write the table."""
    study = read_study("gradients.toml")
    prepare(work, study)
    subject, seed = Subject(study["network"], work / "cifar10"), study["seed"]
    ids = balanced(subject.right(), seed)[: images or study["images"]]
    clean = subject.read(ids, seed)
    rows = []
    for attack in study["attacks"]:
        for radius in study["radii"]:
            label = f"{attack}-{radius:g}"
            found = {
                gates: attacked(subject, clean, label, gates, work / "gradients")
                for gates in study["gates"]
            }
            rows += compared(found, label)
    table = pd.DataFrame(rows)
    folder = out or tables_of(study)
    write_text(folder / "gradients.csv", table.to_csv(index=False, float_format="%.6g"))
    print(table.to_string(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--images", type=int, help="attack so many images")
    parser.add_argument("--out", type=Path, help="where the table is written")
    asked = parser.parse_args()
    out = None if asked.out is None else asked.out.resolve()
    main(asked.work.resolve(), asked.images, out)
