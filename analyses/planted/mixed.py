"""Some concepts are real and others are not: what share of the claims is false.

Usage: python analyses/planted/mixed.py [--runs 100] [--processes 1]

Writes mixed.csv, a row a run with `correction="bh"`. A claim that a combination goes with a concept is
true if the two are positively dependent in the world that the images are drawn from, which
`World.goes_with` computes: a part of a planted combination, or a combination with further filters, is
true as long as the dependence is. What is there already is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from planting import CLASS_SHIFT, Ground, ground, marginal_rates, other_rate, planted, shifted
from running import Rows, options, rng_of, run_missing
from worlds import Concept, World, members_of

from pathlens.analysis import associations

IMAGES = 2000
CONCEPTS = 12
PHIS = (0.05, 0.5)
NOISE_RATES = (0.02, 0.5)
SETTINGS = tuple(product(("drawn", "resnet20"), (3, 6, 10), (0, 10)))
"""Rates, how many of the concepts go with nothing, and classes (0: none)."""


@dataclass(frozen=True)
class MixedJob:
    """One run."""

    rates: str
    noise: int
    classes: int
    seed: int


def jobs(runs: int) -> list[MixedJob]:
    """All runs of all settings."""
    return [MixedJob(*setting, seed) for setting, seed in product(SETTINGS, range(runs))]


def make(job: MixedJob, rng: np.random.Generator) -> World:
    """Planted concepts of sizes 1 to 3 at weak to strong phi, and others that go with nothing.

    With classes, half of the filters go with the class; so does one more concept, by the class alone.
    """
    classes = max(job.classes, 1)
    rates = marginal_rates(job.rates, 64, rng)
    sizes = [1 + i % 3 for i in range(CONCEPTS - job.noise)]
    base = ground(rates, sizes, rng, classes=classes, per_member=1)
    real = [_planted(base, members, i, rng) for i, members in enumerate(base.sets)]
    noise = [_noise(i, classes, rng) for i in range(job.noise)]
    by_class = (
        Concept("class", (), 0.0, shifted(0.2, classes, CLASS_SHIFT, rng)) if job.classes else None
    )
    concepts = [*real, *noise, *([by_class] if by_class else [])]
    return replace(base.world, concepts=tuple(concepts))


def _planted(
    base: Ground, members: tuple[int, ...], number: int, rng: np.random.Generator
) -> Concept:
    phi = float(np.exp(rng.uniform(*np.log(PHIS))))
    rate = np.full(len(base.world.rates), other_rate(base.world, members, rng))
    return planted(base.world, f"planted {number}", members, phi, rate, within=True)


def _noise(number: int, classes: int, rng: np.random.Generator) -> Concept:
    rate = np.exp(rng.uniform(*np.log(NOISE_RATES)))
    return Concept(f"noise {number}", (), 0.0, np.full(classes, rate))


def measure(job: MixedJob) -> Rows:
    """Rows tested, how many of them true; claims, how many of them false."""
    rng = rng_of(job)
    world = make(job, rng)
    recording = world.draw(IMAGES, rng)
    frame = associations(recording, seed=job.seed, resamples=0, correction="bh").frame
    pairs = zip(frame["combination"], frame["concept"], strict=True)
    true = np.array([world.goes_with(members_of(sets), name) for sets, name in pairs], dtype=bool)
    claimed = frame["confirmed"].to_numpy(dtype=bool)
    return [
        {
            "tested": len(frame),
            "true": int(true.sum()),
            "claims": int(claimed.sum()),
            "false_claims": int((claimed & ~true).sum()),
        }
    ]


if __name__ == "__main__":
    asked = options(__doc__, runs=100)
    run_missing(asked.out / "mixed.csv", jobs(asked.runs), measure, asked.processes)
