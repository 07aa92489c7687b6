"""Draw the share of dynamic filters over depth of the networks that are kept, from layers.csv.

Usage: python analyses/accuracy/figure.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

HERE = Path(__file__).parent
MARKS = "os^DvPX*"


def main() -> None:
    """Write dynamic_by_depth.svg: states and class information over depth, a line a row."""
    table, rows = pd.read_csv(HERE / "layers.csv"), pd.read_csv(HERE / "accuracy.csv")
    table = table[table["row"].isin(rows.loc[rows["kept"], "row"])]
    figure, panels = plt.subplots(1, 2, figsize=(9, 4), constrained_layout=True)
    for mark, (row, layers) in zip(MARKS, table.groupby("row", sort=False), strict=False):
        style = {"marker": mark, "markersize": 4, "linewidth": 1, "label": row}
        depth = layers["layer"] / layers["layer"].max()
        panels[0].plot(depth, 100 * layers["dynamic"], **style)
        beyond = layers["class_information_bits"] - layers["of_on_rate_bits"]
        panels[1].plot(depth, beyond, **style)
    panels[0].set(xlabel="depth (layer of all)", ylabel="dynamic filters (%)", ylim=(0, 102))
    panels[1].set(
        xlabel="depth (layer of all)",
        ylabel="bits about the class\nbeyond the number on",
        ylim=(0, None),
    )
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7
    )
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "dynamic_by_depth.svg")


if __name__ == "__main__":
    main()
