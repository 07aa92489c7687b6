"""Record the kept networks, and say what structure their paths have: states, clusters, classes, maps.

Usage: PATHLENS_SHARED=../shared python analyses/path_structure/run.py WORK [NETWORK ...] [--limit N]

Recordings lie in the folder WORK and are made once; so is each table of each network. Tables and figures
of all networks that are there are then written beside this file (with --limit, a trial on N test images
a network, into WORK/trial).
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from figures import clusters_figure, hierarchy_figure, maps_figure, save, states_figure
from recordings import CHECKPOINTS, HERE, SHARED, borrowed, images_of, own_paths, plain_codes
from tables import (
    class_path_rows,
    cluster_rows,
    codes_of,
    depth_rows,
    hierarchy_rows,
    information_rows,
    maps_of,
    state_rows,
)

from pathlens.analysis import cifar10_hierarchy
from pathlens.analysis.baselines import OWN
from pathlens.recording import Recording
from pathlens.runs import Run

TABLES = ("states", "depth", "clusters", "classes", "hierarchy", "pairs", "information", "maps")
PLACES = "places"
"""Where each image lies on its map: for the figures, too large to be kept."""
FIRST = "resnet20-cifar10-50"


def main(work: Path, wanted: list[str], limit: int | None) -> None:
    """Measure what is missing, then write all tables and figures."""
    study = tomllib.loads((HERE / "networks.toml").read_text("utf-8"))
    base = work if limit is None else work / "trial"
    for network in study["network"]:
        if not wanted or network["name"] in wanted:
            print(network["name"], flush=True)
            measure(network, study["settings"], base, limit)
    write(study, base, HERE if limit is None else base)


def measure(
    network: dict[str, Any], settings: dict[str, Any], work: Path, limit: int | None
) -> None:
    """Record one network and its codes, and make those of its tables that are not there."""
    images = images_of(network["data"], work)
    own, codes = recorded(network, settings, work, images, limit)
    seed, few = settings["seed"], settings["images"]
    layers = network.get("maps", [own.layers[len(own.layers) - 1].index])
    everything = codes_of(own, codes)
    found = _Found(work / "found" / network["name"])
    states = found.table("states", lambda: state_rows(everything, settings["equal_images"], seed))
    found.table("depth", lambda: depth_rows(states, seed))
    found.table("clusters", lambda: cluster_rows(own, codes, few, seed))
    found.table("classes", lambda: class_path_rows(everything))
    found.table("information", lambda: information_rows(own, codes, seed))
    found.tables(("maps", PLACES), lambda: maps_of(everything, layers, few, seed))
    hierarchy = hierarchy_of(network)
    if hierarchy is not None:
        found.tables(("hierarchy", "pairs"), lambda: hierarchy_rows(own, codes, hierarchy, seed))


def recorded(
    network: dict[str, Any],
    settings: dict[str, Any],
    work: Path,
    images: Path,
    limit: int | None,
) -> tuple[Recording, dict[str, Recording]]:
    """Recordings of the test images: paths, and the codes of the plain network by name."""
    run = borrowed(CHECKPOINTS / network["name"], work, images)
    plain = borrowed(CHECKPOINTS / network["plain"], work, images)
    rates = settings["rates_images"]
    codes = {
        code: plain_codes(plain, code, run, images, rates, limit) for code in settings["codes"]
    }
    return own_paths(run, images, limit), codes


def hierarchy_of(network: dict[str, Any]) -> Any:
    """The hierarchy of a network's classes; None where there is none."""
    named = network.get("hierarchy")
    if named == "wordnet":
        return cifar10_hierarchy()
    return None if named is None else SHARED / "data" / network["data"] / named


class _Found:
    """The tables of one network, each made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def table(self, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """A table: read if it is there, else made."""
        return self.tables((name,), lambda: (make(),))[0]

    def tables(
        self, names: tuple[str, ...], make: Callable[[], tuple[pd.DataFrame, ...]]
    ) -> list[pd.DataFrame]:
        """Tables that are made together."""
        places = [self.folder / f"{name}.csv" for name in names]
        if not all(place.exists() for place in places):
            for frame, place in zip(make(), places, strict=True):
                beside = place.with_suffix(".part")
                frame.to_csv(beside, index=False, lineterminator="\n")
                beside.replace(place)
        return [pd.read_csv(place) for place in places]


def write(study: dict[str, Any], work: Path, target: Path) -> None:
    """All tables, a file each, and the figures.

    A network that was measured in another folder keeps its rows; maps are drawn where places are.
    """
    names = [network["name"] for network in study["network"]]
    tables = {name: gathered(work, names, name, target) for name in TABLES}
    for name, table in tables.items():
        table.round(4).to_csv(target / f"{name}.csv", index=False, lineterminator="\n")
    save(states_figure(tables["states"]), target / "states.svg")
    save(clusters_figure(tables["clusters"]), target / "clusters.svg")
    save(hierarchy_figure(tables["hierarchy"]), target / "hierarchy.svg")
    places = gathered(work, names, PLACES, None)
    for figure, panels in map_panels(places, tables["maps"], study).items():
        if len(panels):
            save(maps_figure(panels, classes_of(work, names)), target / f"{figure}.svg")


def gathered(work: Path, names: list[str], table: str, before: Path | None) -> pd.DataFrame:
    """One table of all networks: what is found in `work`, else what the table in `before` says."""
    old = None if before is None else before / f"{table}.csv"
    known = pd.read_csv(old) if old is not None and old.exists() else None
    frames = []
    for name in names:
        file = work / "found" / name / f"{table}.csv"
        if file.exists():
            frame = pd.read_csv(file)
            frame.insert(0, "network", name)
            frames.append(frame)
        elif known is not None:
            frames.append(known[known["network"] == name])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def map_panels(
    places: pd.DataFrame, maps: pd.DataFrame, study: dict[str, Any]
) -> dict[str, pd.DataFrame]:
    """Places with the titles of their panels: codes by depth, and the last layers of networks."""
    if places.empty:
        return {}
    same = maps.set_index(["network", "code", "layer"])["same_class"]
    keys = [tuple(key) for key in places[["network", "code", "layer"]].to_numpy()]
    shares = [f"{100 * same[key]:.0f} %" for key in keys]
    first = places["network"] == FIRST
    depth = places[first].assign(
        panel=[
            f"{code}, layer {layer}: {share}"
            for (_, code, layer), share, here in zip(keys, shares, first, strict=True)
            if here
        ]
    )
    order = {code: rank for rank, code in enumerate((OWN, *study["settings"]["codes"]))}
    depth = depth.sort_values(
        ["code", "layer"], key=lambda x: x.map(order) if x.name == "code" else x
    )
    cifar = {one["name"] for one in study["network"] if one["data"] == "cifar10"}
    last = places["layer"] == places.groupby("network")["layer"].transform("max")
    chosen = last & (places["code"] == OWN) & places["network"].isin(cifar)
    networks = places[chosen].assign(
        panel=[
            f"{network}: {share}"
            for (network, _, _), share, here in zip(keys, shares, chosen, strict=True)
            if here
        ]
    )
    return {"maps_depth": depth, "maps_networks": networks}


def classes_of(work: Path, names: list[str]) -> dict[str, tuple[str, ...]]:
    """Class names of the networks that were recorded."""
    runs = {name: Run(work / "runs" / name) for name in names}
    return {name: tuple(run.config["classes"]) for name, run in runs.items() if run.finished}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, metavar="WORK")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="only these")
    parser.add_argument("--limit", type=int, help="a trial on so many test images")
    asked = parser.parse_args()
    main(asked.work.resolve(), asked.networks, asked.limit)
