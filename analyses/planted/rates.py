"""Copy the on-rates of every filter of a few trained layers into rates.csv.

Usage: python analyses/planted/rates.py RESNET20_RECORDING SQUEEZENET_RECORDING

The recordings are of test images, by the kept networks; see README.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.recording import open_recording

TABLE = Path(__file__).with_name("rates.csv")
LAYERS = {"resnet20": "layer3.2.conv1", "squeezenet": "features.11.expand3x3"}
"""Of each network the layer that has most filters with rates from 0.2 to 0.7."""


def layer_rates(network: str) -> npt.NDArray[np.float64]:
    """Rates of the filters of a network's layer, in the order of the layer: (filters,)."""
    table = pd.read_csv(TABLE)
    return table.loc[table["network"] == network, "rate"].to_numpy()


def measured(network: str, folder: Path) -> pd.DataFrame:
    """The rates of a network's layer in a recording."""
    recording, layer = open_recording(folder), LAYERS[network]
    rates = recording.bits(layer).mean(axis=0)
    rows = {"network": network, "layer": layer, "filter": range(len(rates)), "rate": rates}
    return pd.DataFrame(rows)


def main(folders: list[Path]) -> None:
    """Write the table."""
    parts = [measured(network, folder) for network, folder in zip(LAYERS, folders, strict=True)]
    pd.concat(parts).to_csv(TABLE, index=False, float_format="%.5f", lineterminator="\n")


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
