"""Draw accuracy against speed-up from accuracy.csv and speed.csv.

Usage: python analyses/static_pruning/figure.py [FOLDER OF THE TABLES] [--out FILE.svg]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd

HERE = Path(__file__).resolve().parent
PACKED = ", packed"
KEPT = {
    # network of speed.csv: row of accuracy.csv, label, marker, colour
    "plain": ("plain", "plain", "o", "black"),
    "masked": ("decoupled", "decoupled, masked", "x", "C3"),
    "skipping, calibrated": ("decoupled, skipping", "decoupled, skipping", "s", "C2"),
    "decoupled, cut": ("decoupled, cut", "decoupled, cut to half's paths", "D", "C1"),
}
COLOURS = {
    # how a network was pruned: the same colour in every panel
    "global-taylor": "C4",
    "global-magnitude": "C0",
    "magnitude": "C8",
}


def pruning(network: str, name: str) -> str:
    """Importance and its scope, from the name of a row."""
    return network.removeprefix(f"{name}-").removesuffix("-more").rpartition("-")[0]


def family(network: str, name: str) -> str:
    """How a network was made, from the name of its row."""
    if network.endswith("-100-more"):
        return "plain, longer trained"
    more = ", longer trained" if network.endswith("-more") else ""
    return f"pruned, {pruning(network, name).replace('-', ' ')}{more}"


def rivals(accuracy: pd.DataFrame, times: pd.DataFrame, name: str) -> pd.DataFrame:
    """Pruned networks that are measured and timed: family, speed-up, accuracy with its errors."""
    both = accuracy.merge(times, on="network")
    both = both[both["network"].str.startswith(f"{name}-")]
    return both.assign(family=[family(network, name) for network in both["network"]])


def draw_panel(axis: Any, accuracy: pd.DataFrame, times: pd.DataFrame, name: str) -> None:
    """One set and size of batch; the rivals' bars are 95 % intervals of their loss against decoupled."""
    rows = accuracy.set_index("network")
    fast = times.set_index("network")["speedup"]
    for network, (row, label, mark, colour) in KEPT.items():
        if network in fast and row in rows.index:
            y = 100 * rows.loc[row, "accuracy"]
            axis.plot(fast[network], y, mark, color=colour, label=label, zorder=3)
    packed = fast.get(f"plain{PACKED}")
    if packed is not None:
        y = 100 * rows.loc["plain", "accuracy"]
        label = "plain, operators of skipping"
        axis.plot(packed, y, "o", color="black", markerfacecolor="none", label=label, zorder=3)
    groups = rivals(accuracy, times, name).groupby("family", sort=True)
    for label, those in groups:
        those = those.sort_values("speedup")
        first = those["network"].iloc[0]
        kind = "black" if label.startswith("plain") else COLOURS.get(pruning(first, name), "C5")
        half = 50 * (those["lost_decoupled_high"] - those["lost_decoupled_low"])
        axis.errorbar(
            those["speedup"],
            100 * those["accuracy"],
            yerr=half,
            fmt="^-",
            markersize=5,
            markerfacecolor="none" if "longer" in str(label) else kind,
            linewidth=0.8,
            capsize=2,
            color=kind,
            label=label,
        )
    own = 100 * rows.loc["decoupled", "accuracy"]
    axis.axhline(own, color="C2", linewidth=0.6, linestyle=":")


def draw(accuracy: pd.DataFrame, speed: pd.DataFrame) -> plt.Figure:
    """A row of panels a set, a panel a size of batch."""
    names, batches = list(speed["set"].unique()), sorted(speed["batch"].unique())
    size = (4.2 * len(batches), 3.2 * len(names) + 0.9)
    figure, axes = plt.subplots(
        len(names), len(batches), figsize=size, squeeze=False, sharey="row", layout="constrained"
    )
    handles: dict[str, Any] = {}
    for name, row in zip(names, axes, strict=True):
        for batch, axis in zip(batches, row, strict=True):
            times = speed[(speed["set"] == name) & (speed["batch"] == batch)]
            draw_panel(axis, accuracy[accuracy["set"] == name], times, name)
            axis.set(title=f"{name}, {batch} at once", xlabel="speed-up over the plain network")
            axis.spines[["top", "right"]].set_visible(False)
            drawn, labels = axis.get_legend_handles_labels()
            handles |= dict(zip(labels, drawn, strict=True))
        row[0].set_ylabel("test accuracy (%)")
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=2, frameon=False
    )
    return figure


def main() -> None:
    """Read the tables, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="?", type=Path, default=HERE)
    parser.add_argument("--out", type=Path, default=HERE / "accuracy_and_speed.svg")
    options = parser.parse_args()
    accuracy, speed = (pd.read_csv(options.tables / f"{n}.csv") for n in ("accuracy", "speed"))
    draw(accuracy, speed).savefig(options.out, dpi=110)


if __name__ == "__main__":
    main()
