"""Record the kept networks, and say what structure their paths have: states, clusters, classes, maps.

Usage: PATHLENS_SHARED=../shared python analyses/path_structure/run.py WORK [NETWORK ...] [--limit N]

Recordings lie in the folder WORK and are made once; so is each table of each network, until what decides
it changes: networks.toml or a checkpoint. Tables of all networks are then written beside this file; a
network that was not measured in WORK keeps its rows. With --limit, a trial on N test images a network is
written into WORK/trial-N.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from figures import clusters_figure, hierarchy_figure, maps_figure, save, states_figure
from recordings import HERE, images_of, own_paths, plain_codes
from shared_work import CHECKPOINTS, SHARED, borrowed, check_names, write_table
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
from pathlens.files import file_hash, read_json, write_json
from pathlens.recording import Recording
from pathlens.runs import Run

TABLES = ("states", "depth", "clusters", "classes", "hierarchy", "pairs", "information", "maps")
PLACES = "places"
"""Where each image lies on its map: for the figures, too large to be kept."""
FIRST = "resnet20-cifar10-50"


def main(work: Path, wanted: list[str], limit: int | None) -> None:
    """Measure what is missing, then write all tables and figures."""
    study = tomllib.loads((HERE / "networks.toml").read_text("utf-8"))
    check_names(wanted, [network["name"] for network in study["network"]])
    base = work if limit is None else work / f"trial-{limit}"
    found = {
        one["name"]: Found(base / "found" / one["name"], asked_of(one, study["settings"], limit))
        for one in study["network"]
    }
    for network in study["network"]:
        if not wanted or network["name"] in wanted:
            print(network["name"], flush=True)
            images = images_of(network["data"], work)
            recordings = recorded(network, study["settings"], base, images, limit)
            measure(network, study["settings"], recordings, found[network["name"]])
    write(study, base, found, HERE if limit is None else base)


def asked_of(
    network: dict[str, Any], settings: dict[str, Any], limit: int | None
) -> dict[str, Any]:
    """All that decides a network's tables, in plain JSON values."""
    names = (network["name"], network["plain"])
    checkpoints = {name: file_hash(CHECKPOINTS / name / "checkpoint.pt") for name in names}
    return {"network": network, "settings": settings, "limit": limit, "checkpoints": checkpoints}


def measure(
    network: dict[str, Any],
    settings: dict[str, Any],
    recordings: tuple[Recording, dict[str, Recording]],
    found: Found,
) -> None:
    """Make those tables of one network that are not there."""
    own, codes = recordings
    seed, few = settings["seed"], settings["images"]
    layers = network.get("maps", [own.layers[len(own.layers) - 1].index])
    everything = codes_of(own, codes)
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
    run, plain = (
        borrowed(CHECKPOINTS / name, work / "runs" / name, images)
        for name in (network["name"], network["plain"])
    )
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


class Found:
    """The tables of one network, each made once as long as the same is asked.

    Args:
        folder: Where they are, each as NAME.csv with what was asked for it as NAME.json.
        asked: All that decides them, in plain JSON values.
    """

    def __init__(self, folder: Path, asked: dict[str, Any]) -> None:
        self.folder, self.asked = folder, asked

    def has(self, name: str) -> bool:
        """Whether a table was made as it is asked for now."""
        asked = self.folder / f"{name}.json"
        return asked.exists() and bool(read_json(asked) == self.asked)

    def read(self, name: str) -> pd.DataFrame:
        """A table that is there."""
        return pd.read_csv(self.folder / f"{name}.csv")

    def table(self, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """A table: read if it is there, else made."""
        return self.tables((name,), lambda: (make(),))[0]

    def tables(
        self, names: tuple[str, ...], make: Callable[[], tuple[pd.DataFrame, ...]]
    ) -> list[pd.DataFrame]:
        """Tables that are made together."""
        if not all(self.has(name) for name in names):
            for name, frame in zip(names, make(), strict=True):
                asked = self.folder / f"{name}.json"
                asked.unlink(missing_ok=True)
                write_table(frame, self.folder / f"{name}.csv")
                write_json(asked, self.asked)  # the last one: it says that the table is whole
        return [self.read(name) for name in names]


def write(study: dict[str, Any], work: Path, found: Mapping[str, Found], target: Path) -> None:
    """All tables, a file each, and the figures.

    A network that was measured in another folder keeps its rows; maps are drawn where the places of all
    their networks are.
    """
    tables = {name: gathered(found, name, target) for name in TABLES}
    for name, table in tables.items():
        write_table(table.round(4), target / f"{name}.csv")
    save(states_figure(tables["states"]), target / "states.svg")
    save(clusters_figure(tables["clusters"]), target / "clusters.svg")
    save(hierarchy_figure(tables["hierarchy"]), target / "hierarchy.svg")
    places = gathered(found, PLACES, None)
    for figure, panels in map_panels(places, tables["maps"], study).items():
        if len(panels):
            save(maps_figure(panels, classes_of(work, list(found))), target / f"{figure}.svg")


def gathered(found: Mapping[str, Found], table: str, before: Path | None) -> pd.DataFrame:
    """One table of all networks: what is found of each, else what the table in `before` says."""
    old = None if before is None else before / f"{table}.csv"
    known = pd.read_csv(old) if old is not None and old.exists() else None
    frames = []
    for name, tables in found.items():
        if tables.has(table):
            frame = tables.read(table)
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
    if set(networks["network"]) != cifar:
        networks = networks.iloc[:0]
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
