"""No true association at all: in how many runs is something claimed.

Usage: python analyses/planted/chance.py [--runs 200] [--processes 1]

Writes chance.csv, a row a run: no filter has to do with any concept or class, but filters with each
other. What is there already is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from planting import CLASS_SHIFT, ground, marginal_rates, shifted
from running import Rows, options, rng_of, run_missing
from worlds import Concept, World

from pathlens.analysis import associations
from pathlens.analysis.statistics import holm

IMAGES = 5000
LEVEL = 0.05
CONCEPT_RATES = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5)
SETTINGS = tuple(product((("drawn", 64), ("resnet20", 64), ("squeezenet", 128)), (0, 10)))
"""Rates and filters, and classes (0: none)."""


@dataclass(frozen=True)
class ChanceJob:
    """One run."""

    rates: str
    filters: int
    classes: int
    seed: int


def jobs(runs: int) -> list[ChanceJob]:
    """All runs of all settings."""
    return [
        ChanceJob(*layer, classes, seed)
        for (layer, classes), seed in product(SETTINGS, range(runs))
    ]


def make(job: ChanceJob, rng: np.random.Generator) -> World:
    """Correlated filters that go with nothing; where there are classes, concepts go with them."""
    classes = max(job.classes, 1)
    rates = marginal_rates(job.rates, job.filters, rng)
    base = ground(rates, (1, 2, 3), rng, classes=classes, share_by_class=0.0).world
    concepts = [
        Concept(f"rate {rate}", (), 0.0, _otherwise(rate, classes, rng)) for rate in CONCEPT_RATES
    ]
    return replace(base, concepts=tuple(concepts))


def _otherwise(rate: float, classes: int, rng: np.random.Generator) -> np.ndarray:
    return shifted(rate, classes, CLASS_SHIFT, rng) if classes > 1 else np.array([rate])


def searched_claims(frame: pd.DataFrame, images: int) -> int:
    """Claims if the candidates were tested on the images that were searched for them.

    Args:
        frame: Of the result of `associations`.
        images: Discovery images.
    """
    from scipy.stats import norm

    p = norm.sf(np.sqrt(images) * frame["phi_discovery"].to_numpy())
    return int((holm(p) <= LEVEL).sum())


def measure(job: ChanceJob) -> Rows:
    """Rows tested, claims, and claims had they been tested on the images searched."""
    rng = rng_of(job)
    recording = make(job, rng).draw(IMAGES, rng)
    found = associations(recording, seed=job.seed, resamples=0, level=LEVEL)
    return [
        {
            "tested": len(found.frame),
            "claims": len(found.confirmed),
            "claims_on_searched": searched_claims(found.frame, found.searched["discovery"]),
        }
    ]


if __name__ == "__main__":
    asked = options(__doc__, runs=200)
    run_missing(asked.out / "chance.csv", jobs(asked.runs), measure, asked.processes)
