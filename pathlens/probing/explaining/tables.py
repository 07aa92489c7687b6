"""The tables and maps of an explanation, from its parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import Tensor

from pathlens.decoupling.network import DecoupledNetwork
from pathlens.decoupling.path import Path
from pathlens.probing.explaining.beside import Beside
from pathlens.probing.explaining.explanation import UNUSUAL
from pathlens.probing.explaining.flips import Flips
from pathlens.probing.response_maps import Filter, Maps, response_maps

MAPS = 6
"""Filters whose response is mapped."""


def filter_table(
    path: Path, flips: Flips, by: Beside | None, classes: tuple[str, ...]
) -> pd.DataFrame:
    """A row a filter, as `Explanation.frame` documents it."""
    parts = [
        pd.DataFrame(
            {
                "layer": layer.index,
                "name": layer.name,
                "filter": np.arange(layer.filters),
                "on": path[layer.name][0].cpu().numpy() > 0.5,
                "score": path.logits[layer.name][0].detach().double().cpu().numpy(),
                "rate": np.nan if by is None else by.all_rates[layer.name],
                "class_rate": np.nan if by is None else by.rates[layer.name],
            }
        )
        for layer in path.layers
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame = frame.merge(flips.singles, on=["name", "filter"], how="left", validate="1:1")
    names = dict(enumerate(classes))
    frame["becomes"] = frame["becomes"].map(names).fillna("")
    frame["flips"] = frame["flips"].eq(True)
    pairs = zip(frame["name"], frame["filter"], strict=True)
    frame["in_set"] = [(name, int(number)) in flips.members for name, number in pairs]
    return frame


def layer_table(frame: pd.DataFrame, by: Beside | None) -> pd.DataFrame:
    """A row a layer, as `Explanation.layers` documents it."""
    agreeing = frame["class_rate"].where(frame["on"], 1 - frame["class_rate"])
    table = (
        frame.assign(unusual=agreeing <= UNUSUAL)
        .groupby(["layer", "name"], sort=True)
        .agg(filters=("on", "size"), on=("on", "sum"), unusual=("unusual", "sum"))
        .reset_index()
    )
    table.insert(4, "share", table["on"] / table["filters"])
    if by is None:
        return table.assign(class_on=np.nan, percentile=np.nan)
    return table.merge(by.layers, on=["layer", "name"], how="left", validate="1:1")


def largest_maps(network: DecoupledNetwork, x: Tensor, flips: Flips) -> dict[Filter, Maps]:
    """Response maps of the set that was found, then of the filters that weigh most alone."""
    names, numbers = flips.singles["name"].head(MAPS), flips.singles["filter"].head(MAPS)
    ranked = [(str(name), int(number)) for name, number in zip(names, numbers, strict=True)]
    wanted = list(dict.fromkeys([*flips.members, *ranked]))[:MAPS]
    by_layer: dict[int | str, list[int]] = {}
    for name, number in wanted:
        by_layer.setdefault(name, []).append(number)
    height, width = x.shape[2:]
    found = response_maps(network, x, by_layer, size=(int(height), int(width)))
    return {one: found[one][0] for one in wanted}
