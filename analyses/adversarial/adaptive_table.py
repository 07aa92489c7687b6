"""The table of adaptive.py: how often attacks fool the network, the detector, and both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from cells import Cell
from guards import Guard
from subject import Outcome

from pathlens.analysis.rate_tests import wilson_interval

BEST = "any gradient form"
SHARES = ("fooled", "silent", "both")

Verdicts = Mapping[str, np.ndarray]
"""Where the network is fooled, the detector silent, and both: bool (images,) each."""


@dataclass(frozen=True)
class Found:
    """What came of a cell."""

    cell: Cell
    outcome: Outcome
    seconds: float


def verdicts(outcome: Outcome, threshold: float) -> Verdicts:
    """What an attack reaches if scores above a threshold are flagged."""
    silent = outcome.score <= threshold
    return {"fooled": outcome.fooled, "silent": silent, "both": outcome.fooled & silent}


def any_of(several: Sequence[Verdicts]) -> Verdicts:
    """What an attacker reaches who makes several attacks on each image and keeps the best."""
    return {name: np.any([one[name] for one in several], axis=0) for name in SHARES}


def rates(found: Verdicts) -> dict[str, float]:
    """Shares with their 95 % intervals (Wilson)."""
    values: dict[str, float] = {}
    for name in SHARES:
        hits, images = int(found[name].sum()), len(found[name])
        low, high = wilson_interval(hits, images)
        values |= {name: hits / images, f"{name}_low": float(low), f"{name}_high": float(high)}
    return values


def rows_of(
    guard: Guard, found: Sequence[Found], plain: Mapping[float, Outcome], share: float
) -> Iterator[dict[str, Any]]:
    """Rows of a detector at one share of false alarms.

    Args:
        guard: The detector.
        found: What came of the attacks on it.
        plain: What it says of plain PGD at each radius, of all images.
        share: Share of false alarms.
    """
    threshold = guard.thresholds[share]
    gradient: dict[float, list[Verdicts]] = {}
    for one in found:
        reached = verdicts(one.outcome, threshold)
        yield _row(guard, one.cell.form, one.cell, reached, plain, share, one.seconds)
        if one.cell.form in ("sum", "orthogonal"):
            gradient.setdefault(one.cell.radius, []).append(reached)
    for one in found:
        several = gradient.pop(one.cell.radius, [])
        if len(several) > 1:
            yield _row(guard, BEST, one.cell, any_of(several), plain, share, float("nan"))


def _row(
    guard: Guard,
    form: str,
    cell: Cell,
    reached: Verdicts,
    plain: Mapping[float, Outcome],
    share: float,
    seconds: float,
) -> dict[str, Any]:
    images = len(reached["both"])
    before = verdicts(plain[cell.radius], guard.thresholds[share])
    beside = rates({name: values[:images] for name, values in before.items()})
    return {
        "detector": guard.name,
        "fitted_on": guard.fitted_on,
        "form": form,
        "through": cell.settings.get("through", ""),
        "radius": cell.radius,
        "false_alarms": share,
        "n": images,
        **rates(reached),
        **{f"plain_{name}": value for name, value in beside.items()},
        **{name: cell.settings.get(name) for name in ("steps", "runs", "queries")},
        "seconds": seconds,
    }


def summary(table: pd.DataFrame, share: float) -> str:
    """One sentence a detector: what its strongest attack at the largest radius reaches."""
    at = table[table["false_alarms"] == share]
    lines = []
    for name, rows in at.groupby("detector", sort=False):
        best = rows[rows["radius"] == rows["radius"].max()].sort_values("both").iloc[-1]
        lines.append(
            f"{name}, fitted on {best['fitted_on']}: {best['form']} at {best['radius']:g}/255 fools "
            f"network and detector on {best['both']:.1%} [{best['both_low']:.1%}, "
            f"{best['both_high']:.1%}] of {best['n']:,} images, plain PGD on {best['plain_both']:.1%}."
        )
    return "\n".join(lines)
