"""Planted combinations: are they found exactly, confirmed, or is something near them reported instead.

Usage: python analyses/planted/recovery.py [--runs 300] [--processes 1]

Writes recovery.csv: a row for each setting, size of the planted set and batch of runs. What is there
already is kept, so that the same command goes on after an interruption, or makes more runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from planting import (
    CLASS_SHIFT,
    Ground,
    ground,
    marginal_rates,
    other_rate,
    planted,
    shifted,
)
from running import Rows, options, rng_of, run_missing
from worlds import Concept, World, members_of

from pathlens.analysis import associations

IMAGES = 5000
SIZES = (1, 2, 3)
BATCH = 50
SETTINGS = (
    *product((("drawn", 64, 0), ("drawn", 128, 0), ("resnet20", 64, 0)), (0.3, 0.4, 0.5, 0.7)),
    *product((("drawn", 256, 0), ("squeezenet", 256, 0)), (0.3, 0.5)),
    *product((("drawn", 64, 10), ("drawn", 128, 10), ("resnet20", 64, 10)), (0.3, 0.4, 0.5, 0.7)),
)
"""Rates, filters and classes (0: none), and phi; the wide worlds take longest and have fewer phi."""
OUTCOMES = ("exact", "superset", "subset", "overlapping", "disjoint", "none")
"""What the best combination of a concept is to the planted one; none: there is none."""


@dataclass(frozen=True)
class RecoveryJob:
    """A batch of runs of one setting; `first` is the number of its first run."""

    rates: str
    filters: int
    classes: int
    phi: float
    first: int


def jobs(runs: int) -> list[RecoveryJob]:
    """All batches of all settings: so many runs at the weakest phi, a third at the others."""
    weakest = min(phi for _, phi in SETTINGS)
    return [
        RecoveryJob(*world, phi, first)
        for world, phi in SETTINGS
        for first in range(0, runs if phi == weakest else runs // 3, BATCH)
    ]


def make(job: RecoveryJob, rng: np.random.Generator) -> World:
    """A world with a planted set of each size, each with a concept of its own."""
    classes = max(job.classes, 1)
    rates = marginal_rates(job.rates, job.filters, rng)
    base = ground(rates, SIZES, rng, classes=classes)
    concepts = [_concept(base, members, job.phi, rng) for members in base.sets]
    return replace(base.world, concepts=tuple(concepts))


def _concept(
    base: Ground, members: tuple[int, ...], phi: float, rng: np.random.Generator
) -> Concept:
    rate, classes = other_rate(base.world, members, rng), len(base.world.rates)
    otherwise = np.full(classes, rate)
    if classes > 1:
        otherwise = shifted(rate, classes, CLASS_SHIFT, rng)
    return planted(base.world, f"of {len(members)}", members, phi, otherwise, within=False)


def relation(found: tuple[int, ...] | None, members: tuple[int, ...]) -> str:
    """What a found combination is to the planted one: one of `OUTCOMES`."""
    if found is None:
        return "none"
    own, other = set(members), set(found)
    if own == other:
        return "exact"
    if own < other:
        return "superset"
    if own > other:
        return "subset"
    return "overlapping" if own & other else "disjoint"


def outcome(frame: pd.DataFrame, world: World, concept: Concept) -> dict[str, Any]:
    """What became of one planted set.

    Args:
        frame: Of the result of `associations`.
        world: The world it was made from.
        concept: The concept.

    Returns:
        best: `relation` of the combination that was best on discovery images; first: of that which the
        table names first; tested, confirmed: whether the planted set was; better: whether the best one
        is in truth at least as good as the planted one; false: confirmed rows that are not true.
    """
    rows = frame[frame["concept"] == concept.name]
    sets = [members_of(text) for text in rows["combination"]]
    best = sets[int(rows["phi_discovery"].argmax())] if sets else None
    own = np.array([one == concept.members for one in sets], dtype=bool)
    name = concept.name
    confirmed = rows["confirmed"].to_numpy(dtype=bool)
    true = np.array([world.goes_with(one, name) for one in sets], dtype=bool)
    reached = world.phi(best, name) if best else 0.0
    return {
        "best": relation(best, concept.members),
        "first": relation(sets[0] if sets else None, concept.members),
        "tested": bool(own.any()),
        "confirmed": bool(confirmed[own].any()),
        "better": best != concept.members and reached >= world.phi(concept.members, name),
        "false": int((confirmed & ~true).sum()),
    }


def runs_of(job: RecoveryJob) -> Iterator[tuple[World, dict[str, dict[str, Any]]]]:
    """The worlds of a batch, and the outcome of each of their concepts."""
    for number in range(job.first, job.first + BATCH):
        rng = rng_of(replace(job, first=number))
        world = make(job, rng)
        recording = world.draw(IMAGES, rng)
        frame = associations(recording, seed=number, resamples=0).frame
        yield world, {one.name: outcome(frame, world, one) for one in world.concepts}


def measure(job: RecoveryJob) -> Rows:
    """A row for each size: runs, and in how many of them what happened."""
    batches = [found for _, found in runs_of(job)]
    rows = []
    for size in SIZES:
        own = [found[f"of {size}"] for found in batches]
        best = Counter(one["best"] for one in own)
        rows.append(
            {
                "size": size,
                "runs": len(own),
                **{name: best[name] for name in OUTCOMES},
                "better": sum(one["better"] for one in own),
                "first_exact": sum(one["first"] == "exact" for one in own),
                "tested": sum(one["tested"] for one in own),
                "confirmed": sum(one["confirmed"] for one in own),
                "false_claims": sum(one["false"] for one in own),
            }
        )
    return rows


if __name__ == "__main__":
    asked = options(__doc__, runs=300)
    run_missing(asked.out / "recovery.csv", jobs(asked.runs), measure, asked.processes)
