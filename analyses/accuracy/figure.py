"""Draw the share of dynamic filters over depth from layers.csv.

Usage: python analyses/accuracy/figure.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import MaxNLocator

HERE = Path(__file__).parent
MARKS = "os^Dv"


def main() -> None:
    """Write dynamic_by_depth.svg: states and class information over depth, a line a row."""
    table = pd.read_csv(HERE / "layers.csv")
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    for mark, (row, layers) in zip(MARKS, table.groupby("row", sort=False), strict=False):
        style = {"marker": mark, "markersize": 4, "linewidth": 1, "label": row}
        panels[0].plot(layers["layer"], 100 * layers["dynamic"], **style)
        beyond = layers["class_information_bits"] - layers["of_on_rate_bits"]
        panels[1].plot(layers["layer"], beyond, **style)
    panels[0].set(xlabel="layer", ylabel="dynamic filters (%)", ylim=(0, 102))
    panels[1].set(
        xlabel="layer", ylabel="bits about the class\nbeyond the number on", ylim=(0, None)
    )
    panels[0].legend(frameon=False, fontsize=7)
    for panel in panels:
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "dynamic_by_depth.svg")


if __name__ == "__main__":
    main()
