"""Attack the kept network as someone does who knows the detector, and count what fools both.

Usage: PATHLENS_SHARED=../shared python analyses/adversarial/adaptive.py WORK
           [--images N] [--only NAME] [--out FOLDER]

Needs the first group of sets of run.py in the folder WORK (`run.py WORK --sets 1`). Fits the detectors
of adaptive.toml on images that are not attacked, attacks, and writes adaptive.csv, adaptive.svg and
adaptive.txt into tables/NETWORK beside this file, or into FOLDER. A finished cell (detector, form,
radius) is kept in WORK/adaptive. `--images N` attacks fewer images, `--only` these detectors.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from adaptive_figure import draw
from adaptive_table import Found, rows_of, summary
from cells import Cell, attack_of, named, planned
from guards import Guard, guard, sides_of
from kept import Made, made_or_kept
from run import prepare, read_study, tables_of
from subject import Subject, balanced, some

from pathlens.analysis.drawing import figure_bytes
from pathlens.attacking.alteration import Clean
from pathlens.files import write_bytes, write_text
from pathlens.recording.manifest import image_fingerprint


@dataclass(frozen=True)
class World:
    """All that cells have in common."""

    subject: Subject
    clean: Clean
    guards: Mapping[str, Guard]
    share: float
    gates: str
    folder: Path

    def made(self, cell: Cell) -> Made:
        """The attacked images of a cell, made if they are not kept."""
        clean = some(self.clean, range(cell.images))
        known = [self.guards[x] for x in (cell.target, cell.settings.get("through")) if x]
        asked = {
            "form": cell.form,
            "radius": cell.radius,
            "settings": dict(cell.settings),
            "gates": self.gates,
            "share": self.share if known else None,
            "guards": [one.fingerprint for one in known],
            "checkpoint": self.subject.loaded.checkpoint,
            "images": image_fingerprint(clean.ids, clean.labels.numpy()),
            "seed": clean.seed,
        }

        def make() -> np.ndarray:
            return self.subject.alter(attack_of(cell, self.guards, self.share), clean, self.gates)

        return made_or_kept(self.folder / "cells" / cell.file, asked, make)

    def found(self, cell: Cell, name: str) -> Found:
        """What the network and a detector say of the images of a cell."""
        made = self.made(cell)
        clean = some(self.clean, range(cell.images))
        outcome = self.subject.outcome(self.guards[name].saved, clean, made.pixels)
        print(f"{name}, {cell.form}, {cell.radius:g}/255: {made.seconds:.0f} s", flush=True)
        return Found(cell, outcome, made.seconds)


def build(study: Mapping[str, Any], subject: Subject, folder: Path, names: Sequence[str]) -> World:
    """Fitted detectors, and the images that are attacked.

    Args:
        study: What adaptive.toml lists.
        subject: The network.
        folder: Where finished cells are kept.
        names: Detectors that are attacked or stand in.
    """
    seed, shares = study["seed"], study["false_alarms"]
    of = sides_of(study, subject)
    guards = {name: guard(name, of, subject.loaded.checkpoint, shares) for name in names}
    clean = subject.read(balanced(of.test, seed)[: study["images"]], seed)
    return World(subject, clean, guards, max(shares), study["gates"], folder)


def tabled(study: Mapping[str, Any], world: World, only: Sequence[str]) -> pd.DataFrame:
    """All cells, made as far as they are not kept, as the table."""
    cells = list(planned(study, only))
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(cell.target for cell in cells if cell.target):
        own = world.guards[name]
        plain = {x.radius: world.found(x, name).outcome for x in cells if not x.target}
        found = [world.found(cell, name) for cell in cells if cell.target == name]
        for share in study["false_alarms"]:
            rows += rows_of(own, found, plain, share)
    return pd.DataFrame(rows)


def main(work: Path, images: int | None, only: Sequence[str], out: Path | None) -> None:
    """Attack what is not attacked yet, and write the table and its figure."""
    study = read_study("adaptive.toml")
    study["images"] = images or study["images"]
    prepare(work, study)
    subject = Subject(study["network"], work / "cifar10")
    world = build(study, subject, work / "adaptive", named(study, only))
    table = tabled(study, world, only)
    folder = out or tables_of(study)
    said = summary(table, max(study["false_alarms"]))
    cost = table[table["false_alarms"] == world.share]["seconds"].sum()
    said += f"\nThe attacks on detectors took {cost / 60:.0f} minutes of a processor."
    write_text(folder / "adaptive.csv", table.to_csv(index=False, float_format="%.6g"))
    write_bytes(folder / "adaptive.svg", figure_bytes(draw(table, world.share), "svg"))
    write_text(folder / "adaptive.txt", said + "\n")
    print(said)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--images", type=int, help="attack so many images")
    parser.add_argument("--only", action="append", default=[], help="a detector; several times")
    parser.add_argument("--out", type=Path, help="where tables are written")
    asked = parser.parse_args()
    out = None if asked.out is None else asked.out.resolve()
    main(asked.work.resolve(), asked.images, asked.only, out)
