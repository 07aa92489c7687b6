"""The measures, a function a group; rows have measure, code, value, low, high, images, reason.

A row has a value, or says why it has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tables import some_images

from pathlens.analysis import associations, filter_states, path_clusters, path_information
from pathlens.analysis.associating.association_table import Associations
from pathlens.analysis.baselines import OWN
from pathlens.analysis.source import PathData

ACCURACY = Path(__file__).parents[1] / "accuracy"
SWAPS = {
    "lost_one_path": "majority path, equal MACs",
    "lost_other_class": "path of an image of another predicted class",
}
COST = ("accuracy", "lost", "macs_share", "gate_density")
NOT_ROUTED = "the plain network runs whole: nothing is routed"
STATIC = "all images share one path"
CLUSTERS = ("ami", "ami_last", "clusters_found")
INFORMATION = ("bound", "beyond", "bound_last", "beyond_last")
CONCEPTS = ("concept_phi", "concept_gain", "concept_confirmed", "beyond_class")
STATES = ("dynamic", "dynamic_tolerant", "paths_shared")

Measures = list[dict[str, Any]]
Codes = Mapping[str, PathData]


def measured(
    measure: str,
    value: float,
    *,
    code: str = OWN,
    interval: tuple[float, float] | None = None,
    images: int | None = None,
) -> dict[str, Any]:
    """A row with a value; it gives a reason where that is not a number."""
    low, high = interval or (None, None)
    known = np.isfinite(value)
    return {
        "measure": measure,
        "code": code,
        "value": float(value) if known else None,
        "low": low,
        "high": high,
        "images": images,
        "reason": "" if known else "not a number: nothing to compute it from",
    }


def missing(measures: Iterable[str], reason: str, code: str = OWN) -> Measures:
    """Rows without a value, and why."""
    empty = {"value": None, "low": None, "high": None, "images": None}
    return [{"measure": name, "code": code, **empty, "reason": reason} for name in measures]


def cost(name: str, plain: str, *, routed: bool, folder: Path = ACCURACY) -> Measures:
    """Accuracy and cost, and what is lost with other paths: from the tables of the accuracy study.

    Args:
        name: Its row there.
        plain: The row of the plain network.
        routed: Whether there are paths; a code of the plain network has that one's accuracy.
        folder: Where accuracy.csv and path_swaps.csv are.
    """
    table = pd.read_csv(folder / "accuracy.csv").set_index("row")
    asked = name if routed else plain
    if asked not in table.index:
        reason = f"{asked} is not in the tables of the accuracy study yet: run its measure.py"
        return missing((*COST, *SWAPS), reason)
    row = table.loc[asked]
    images = int(row["images"])
    if not routed:
        found = [measured("accuracy", row["accuracy"], images=images)]
        found += [measured("macs_share", 1.0, images=images)]
        return found + missing(("lost", "gate_density", *SWAPS), NOT_ROUTED)
    spread = {"lost": (float(row["lost_low"]), float(row["lost_high"]))}
    found = [measured(x, row[x], interval=spread.get(x), images=images) for x in COST]
    return found + _swaps(name, folder)


def _swaps(name: str, folder: Path) -> Measures:
    table = pd.read_csv(folder / "path_swaps.csv")
    table = table[(table["row"] == name) & (table["layer"] == "all")].set_index("condition")
    found: Measures = []
    for measure, condition in SWAPS.items():
        if condition not in table.index:
            found += missing([measure], "not among the swaps of the accuracy study")
            continue
        row = table.loc[condition]
        spread = (float(row["lost_low"]), float(row["lost_high"]))
        found.append(measured(measure, row["lost"], interval=spread, images=int(row["images"])))
    return found


def is_static(data: PathData) -> bool:
    """Whether all images have one path."""
    return all(
        (bits := data.bits(layer.name)).size == 0 or _constant(bits) for layer in data.layers
    )


def _constant(bits: Any) -> bool:
    return bool((bits == bits[:1]).all())


def states(codes: Codes, images: int, seed: int) -> Measures:
    """Share of filters that are dynamic.

    Measures: dynamic (over `images` images drawn by seed, as shares grow with their number),
    dynamic_tolerant (over all, where one image in a hundred may leave a state), paths_shared (share
    of images whose whole path is that of another image too).
    """
    found = []
    for code, data in codes.items():
        few = filter_states(some_images(data, images, seed))
        tolerant = filter_states(data, tolerance=0.01)
        for name, one in (("dynamic", few), ("dynamic_tolerant", tolerant)):
            share = float((one.frame["state"] == "dynamic").mean())
            found.append(measured(name, share, code=code, images=one.images))
        found.append(measured("paths_shared", _shared(data), code=code, images=len(data.images)))
    return found


def _shared(data: PathData) -> float:
    whole = np.concatenate(
        [np.packbits(data.bits(one.name), axis=1) for one in data.layers], axis=1
    )
    _, which, copies = np.unique(whole, axis=0, return_inverse=True, return_counts=True)
    return float((copies[which.reshape(-1)] > 1).mean())


def information(codes: Codes, images: int, seed: int) -> Measures:
    """Cross-fitted lower bounds on what codes tell of the class, in bits (`path_information`).

    Measures: bound and beyond (what goes beyond the number of gates on in each layer) over the whole
    network, and _last in its last layer.
    """
    first = codes[OWN]
    beside = {code: data for code, data in codes.items() if code != OWN}
    found = []
    for ending, layer in (("", None), ("_last", len(first.layers))):
        frame = path_information(
            first, layer, baselines=beside, permutations=1, max_images=images, seed=seed
        ).frame
        for name, measure in (("bound", "bound"), ("beyond", "bound beyond gates on")):
            for row in frame[frame["measure"] == measure].itertuples():
                spread = (float(row.low), float(row.high))
                found.append(
                    measured(
                        name + ending, row.value, code=row.code, interval=spread, images=images
                    )
                )
    return found


def clusters(codes: Codes, images: int, seed: int) -> Measures:
    """Agreement of clusters of test images with their classes (adjusted mutual information).

    Measures: ami (whole paths, as many clusters as classes), ami_last (of the last layer), and
    clusters_found (their number where the silhouette decides, whole paths).
    """
    first = codes[OWN]
    beside = {code: data for code, data in codes.items() if code != OWN}
    classes = len(first.classes)
    asked = (("ami", None, classes), ("ami_last", len(first.layers), classes))
    found = []
    for name, layer, count in asked:
        scores = _scores(first, beside, layer, count, images, seed)
        found += [measured(name, x.value, code=x.code, images=images) for x in scores.itertuples()]
    free = _scores(first, beside, None, None, images, seed)
    return found + [
        measured("clusters_found", x.clusters, code=x.code, images=images)
        for x in free.itertuples()
    ]


def _scores(
    data: PathData, beside: Codes, layer: Any, count: int | None, images: int, seed: int
) -> pd.DataFrame:
    found = path_clusters(
        data,
        layer,
        clusters=count,
        baselines=beside,
        max_images=images,
        seed=seed,
        permutations=20,
    ).scores
    return found[found["measure"] == "AMI"]


def concepts(codes: Codes, table: pd.DataFrame, layers: list[int], seed: int) -> Measures:
    """How far combinations go with what people saw in the images, on images not searched.

    Each code is searched by itself. For each concept of the table the combination counts that was
    strongest on the images searched, of all layers. Measures: concept_phi (mean of its held-out phi
    over concepts), concept_gain (mean held-out gain over the layer's best single filter; 0 where it
    is one), concept_confirmed (share of concepts for which it is confirmed), beyond_class (share of
    tested rows shown to go beyond the class).
    """
    found = []
    for code, data in codes.items():
        whole = associations(data, layers, table, seed=seed, resamples=200)
        found += concept_measures(whole, set(table["concept"]), code)
    return found


def concept_measures(found: Associations, names: set[str], code: str) -> Measures:
    """The measures of one search.

    Args:
        found: What was found.
        names: Concepts that count; classes are searched too.
        code: Of which code.
    """
    rows = found.frame[found.frame["concept"].isin(names)]
    if rows.empty:
        return missing(CONCEPTS, "no combination was tested", code)
    best = rows.sort_values("phi_discovery").groupby("concept").tail(1)
    # A concept that no combination goes with on the images searched has none to test.
    count = len(names)
    values = {
        "concept_phi": best["phi"].sum() / count,
        "concept_gain": best["gain_over_best_single"].fillna(0).sum() / count,
        "concept_confirmed": best["confirmed"].sum() / count,
        "beyond_class": (rows["beyond_class"] == "beyond class").mean(),
    }
    images = found.searched["confirmation"]
    return [measured(name, value, code=code, images=images) for name, value in values.items()]
