"""Speed-up over dense against the share of filters on, with the statically cut network as the limit.

python analyses/benchmarks/skipping/figure.py [TABLE.csv] [--out FILE.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd

HERE = Path(__file__).resolve().parent


def draw(table: pd.DataFrame) -> plt.Figure:
    """One panel a network."""
    networks = list(dict.fromkeys(table["network"]))
    columns = min(4, len(networks))
    rows = -(-len(networks) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3 * columns, 2.8 * rows), squeeze=False, layout="constrained"
    )
    for axis, network in zip(axes.flat, networks, strict=False):
        part = table[table["network"] == network].sort_values("density")
        dense = part[["dense, ms", "dense, channels last, ms"]].min(axis=1)
        share = 100 * part["density"]
        lines = (
            ("skipping, ms", "skipping", "o-", "C0"),
            ("skipping, calibrated, ms", "skipping, calibrated", "s-", "C2"),
            ("cut, ms", "static cut, plain torch", "--", "black"),
            ("cut, packed, ms", "static cut, same operators", ":", "grey"),
            ("masked, ms", "masked", "x-", "C3"),
        )
        for column, label, style, colour in lines:
            if column not in part:  # measured before calibration was
                continue
            axis.plot(share, dense / part[column], style, color=colour, label=label)
        axis.axhline(1, color="grey", linewidth=0.5)
        axis.set(title=network, xlabel="filters on, %")
        axis.set_ylim(bottom=0)
    for axis in axes.flat[len(networks) :]:
        axis.set_axis_off()
    for row in axes:
        row[0].set_ylabel("speed-up over dense")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def main() -> None:
    """Read the table, write the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", nargs="?", type=Path, default=HERE / "speed.csv")
    parser.add_argument("--out", type=Path, default=HERE / "speed.png")
    options = parser.parse_args()
    draw(pd.read_csv(options.table)).savefig(options.out, dpi=120)


if __name__ == "__main__":
    main()
