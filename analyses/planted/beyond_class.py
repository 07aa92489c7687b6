"""Concepts that go with the class: do the verdicts about what is beyond it hold.

Usage: python analyses/planted/beyond_class.py [--runs 300] [--processes 1]

Writes beyond_class.csv, a row a run. Each world has two concepts: one goes with the class and, within
classes, with no filter at all; the other goes with the class and with a pair of filters within classes.
Half of all filters go with the class. What is there already is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from planting import ground, marginal_rates, other_rate, planted, shifted
from running import Rows, options, rng_of, run_missing
from worlds import INDEPENDENT, Concept, World, members_of

from pathlens.analysis import associations
from pathlens.analysis.associating.beyond_class import BEYOND, EXPLAINED, UNDECIDABLE

SHIFT = 1.5
ALONE, OWN = "class alone", "own effect"
ALONE_RATE = 0.3
SETTINGS = (
    *product(("drawn", "resnet20"), (1000, 5000), (2, 10), (0.3, 0.5)),
    *product(("drawn", "resnet20"), (20_000,), (2, 10), (0.3,)),
)
"""Rates, images, classes, phi within classes of the second concept."""


@dataclass(frozen=True)
class BeyondClassJob:
    """One run."""

    rates: str
    images: int
    classes: int
    phi: float
    seed: int


def jobs(runs: int) -> list[BeyondClassJob]:
    """All runs of all settings."""
    return [BeyondClassJob(*setting, seed) for setting, seed in product(SETTINGS, range(runs))]


def make(job: BeyondClassJob, rng: np.random.Generator) -> World:
    """A world with both concepts."""
    rates = marginal_rates(job.rates, 64, rng)
    base = ground(rates, (2,), rng, classes=job.classes, shift=SHIFT)
    (members,) = base.sets
    alone = Concept(ALONE, (), 0.0, shifted(ALONE_RATE, job.classes, SHIFT, rng))
    otherwise = shifted(other_rate(base.world, members, rng), job.classes, SHIFT, rng)
    own = planted(base.world, OWN, members, job.phi, otherwise, within=True)
    return replace(base.world, concepts=(alone, own))


def verdicts(rows: pd.DataFrame, prefix: str) -> dict[str, int]:
    """How many rows there are, and how many have each verdict."""
    count = rows["beyond_class"].value_counts()
    return {
        f"{prefix}_rows": len(rows),
        f"{prefix}_beyond": int(count.get(BEYOND, 0)),
        f"{prefix}_explained": int(count.get(EXPLAINED, 0)),
        f"{prefix}_undecidable": int(count.get(UNDECIDABLE, 0)),
    }


def measure(job: BeyondClassJob) -> Rows:
    """Verdicts of the concept by class alone, of the other, and of its planted pair.

    `related` are those rows of the second concept that go with it within classes in the world: the
    search also finds combinations that go with it through the class alone.
    """
    rng = rng_of(job)
    world = make(job, rng)
    recording = world.draw(job.images, rng)
    frame = associations(recording, seed=job.seed, resamples=0).frame
    alone, own = frame[frame["concept"] == ALONE], frame[frame["concept"] == OWN]
    sets = [members_of(text) for text in own["combination"]]
    related = [world.phi_within(one, OWN) > INDEPENDENT for one in sets]
    pair = [one == world.concept(OWN).members for one in sets]
    return [
        {
            "alone_confirmed": int(alone["confirmed"].sum()),
            **verdicts(alone, "alone"),
            **verdicts(own[np.array(related, dtype=bool)], "related"),
            **verdicts(own[np.array(pair, dtype=bool)], "pair"),
        }
    ]


if __name__ == "__main__":
    asked = options(__doc__, runs=300)
    run_missing(asked.out / "beyond_class.csv", jobs(asked.runs), measure, asked.processes)
