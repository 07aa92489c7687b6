"""What was measured as tables, and which pruned network is as accurate as the decoupled one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

OWN, PLAIN = "decoupled", "plain"
KEPT = (PLAIN, OWN, "decoupled, skipping", "decoupled, cut")
CALIBRATED = "skipping, calibrated"
PACKED = ", packed"

Answers = NDArray[np.bool_]


def lost(reference: Answers, own: Answers) -> tuple[float, float, float]:
    """Accuracy lost against a network on the same images, with its 95 % interval.

    The interval is the normal one of the mean of paired differences.
    """
    difference = reference.astype(float) - own.astype(float)
    half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    mean = float(difference.mean())
    return mean, mean - half, mean + half


def accuracy_rows(name: str, found: Mapping[str, tuple[float, Answers]]) -> list[dict[str, Any]]:
    """A row a network of one set.

    Args:
        name: Name of the set.
        found: Network to its share of multiply-adds and its right answers; with `plain` and
            `decoupled`, which the others are held against.
    """
    rows = []
    for network, (share, right) in found.items():
        row = {"set": name, "network": network, "macs_share": share, "images": len(right)}
        row["accuracy"] = float(right.mean())
        for reference in (PLAIN, OWN):
            values = lost(found[reference][1], right)
            ends = ("", "_low", "_high")
            row |= {f"lost_{reference}{end}": v for end, v in zip(ends, values, strict=True)}
        rows.append(row)
    return rows


def equals(accuracy: pd.DataFrame, speed: pd.DataFrame) -> pd.DataFrame:
    """The pruned networks that are as accurate as the decoupled one, and how fast they are.

    Args:
        accuracy: Of one set, as `accuracy_rows` gives it.
        speed: Of the same set: batch, network, speedup, ms.

    Returns:
        A row a size of batch and criterion: "at least as accurate" (the fastest pruned network with no
        lower test accuracy) and "not known to be worse" (the fastest whose interval of accuracy lost
        against the decoupled network reaches 0); in each, operators: those of torch, and those that
        skipping uses. An empty network where no pruned one qualifies.
    """
    rivals = accuracy[~accuracy["network"].isin(KEPT)]
    own = accuracy.set_index("network").loc[OWN, "accuracy"]
    criteria = {
        "at least as accurate": rivals[rivals["accuracy"] >= own],
        "not known to be worse": rivals[rivals["lost_decoupled_low"] <= 0],
    }
    rows = []
    for batch, times in speed.groupby("batch"):
        times = times.set_index("network")
        for criterion, those in criteria.items():
            for operators, ending in (("torch", ""), ("oneDNN, packed", PACKED)):
                row = {"batch": batch, "criterion": criterion, "operators": operators}
                row["decoupled_accuracy"] = own
                row["decoupled_speedup"] = times.loc[CALIBRATED, "speedup"]
                rows.append(row | _fastest(those, times, ending))
    return pd.DataFrame(rows)


def _fastest(those: pd.DataFrame, times: pd.DataFrame, ending: str) -> dict[str, Any]:
    timed = those[(those["network"] + ending).isin(times.index)]
    if timed.empty:
        return {"pruned": "", "pruned_accuracy": np.nan, "pruned_speedup": np.nan}
    speedups = times.loc[timed["network"] + ending, "speedup"].to_numpy()
    best = timed.iloc[int(speedups.argmax())]
    found = {"pruned": best["network"], "pruned_accuracy": best["accuracy"]}
    return {**found, "pruned_speedup": float(speedups.max())}


def update(file: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """Replace the rows of those sets (and sizes of batch) that were measured anew; the whole table."""
    keys = [key for key in ("set", "batch") if key in rows]
    if file.exists():
        before = pd.read_csv(file, keep_default_na=False, na_values=["nan"])
        anew = set(rows[keys].itertuples(index=False, name=None))
        kept = [one not in anew for one in before[keys].itertuples(index=False, name=None)]
        rows = pd.concat([before[kept], rows], ignore_index=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.round(4).to_csv(file, index=False, lineterminator="\n", na_rep="nan")
    return rows
