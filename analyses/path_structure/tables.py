"""The tables of the study, a function a table: each row names its network and its code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import KDTree
from scipy.stats import rankdata

from pathlens.analysis import (
    class_paths,
    compare_with_hierarchy,
    filter_states,
    information_over_depth,
    path_clusters,
    path_map,
)
from pathlens.analysis.baselines import Matched, matched
from pathlens.analysis.source import PathData, sample_rows

NEIGHBOURS = 10
TOLERANCE = 0.01
PERMUTATIONS = 9999
INFORMATION_IMAGES = 5000


def codes_of(paths: PathData, baselines: Mapping[str, PathData]) -> dict[str, PathData]:
    """The paths and the codes beside them on the same images with the same labels."""
    return matched(paths, baselines)


def some_images(data: PathData, count: int, seed: int) -> Matched:
    """A seeded sample of the images, as a recording."""
    rows, _ = sample_rows(len(data.images), count, seed)
    images = data.images.iloc[rows].reset_index(drop=True)
    return Matched(data, rows, images, data.classes)


def kind_of_layer(name: str) -> str:
    """What a layer's convolution is in its block: what stands behind the block's number.

    Examples: "layer1.0.conv2" is a "conv2", "stages.3.branch2.1.0" a "branch2.1.0"; where blocks
    have no names, as in "features.3", all layers are of one kind.
    """
    parts = name.split(".")
    numbers = [place for place, part in enumerate(parts) if part.isdigit()]
    behind = parts[numbers[0] + 1 :] if numbers else []
    return ".".join(behind) or parts[0]


def state_rows(codes: Mapping[str, PathData], equal_images: int, seed: int) -> pd.DataFrame:
    """States of the filters of every layer, of every code.

    Args:
        codes: The codes by name.
        equal_images: Images of which a seeded sample is looked at as well: shares of dynamic filters
            grow with the number of images.
        seed: Draws them.

    Returns:
        code, layer, name, kind, filters, images; high_energy, mute, dynamic (shares of filters over
        all images), dynamic_tolerant (with states that one image in a hundred may leave),
        dynamic_equal (over equal_images), density (share of gates on).
    """
    frames = []
    for code, data in codes.items():
        strict = filter_states(data).by_layer
        tolerant = filter_states(data, tolerance=TOLERANCE).by_layer
        equal = filter_states(some_images(data, equal_images, seed)).by_layer
        frame = strict[["layer", "name", "filters"]].copy()
        frame.insert(0, "code", code)
        frame["kind"] = [kind_of_layer(name) for name in frame["name"]]
        frame["images"] = len(data.images)
        for state in ("high_energy", "mute", "dynamic"):
            frame[state] = strict[state] / strict["filters"]
        frame["dynamic_tolerant"] = tolerant["share_dynamic"]
        frame["dynamic_equal"] = equal["share_dynamic"]
        frame["density"] = strict["density"]
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def depth_rows(states: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Does the share of dynamic filters grow with depth? Spearman's correlation over layers.

    Args:
        states: As `state_rows` gives it, of one network.
        seed: Draws the permutations.

    Returns:
        code, kind ("all", and each kind with at least 4 layers), layers, column (which share),
        spearman, p (one-sided: layers permuted, the observed order counted in), first and last (mean
        share of the first and last third of the layers).
    """
    rows = []
    for code, of_code in states.groupby("code", sort=False):
        kinds: list[tuple[str, pd.DataFrame]] = [("all", of_code)]
        kinds += [(str(k), part) for k, part in of_code.groupby("kind") if len(part) >= 4]
        for kind, part in kinds:
            for column in ("dynamic_equal", "dynamic_tolerant"):
                values = part.sort_values("layer")[column].to_numpy()
                rows.append({"code": code, "kind": kind, "column": column, **_trend(values, seed)})
    return pd.DataFrame(rows)


def _trend(values: Any, seed: int) -> dict[str, Any]:
    """Correlation of values with their order, and how often chance reaches it."""
    third = max(1, len(values) // 3)
    found: dict[str, Any] = {"layers": len(values), "spearman": np.nan, "p": np.nan}
    ranks = rankdata(values)
    if np.ptp(ranks):
        rng = np.random.default_rng(seed)
        order = _standardised(np.arange(len(values), dtype=float))
        permuted = rng.permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
        null = _standardised(np.vstack([ranks, permuted])) @ order
        reached = (null[1:] >= null[0] - 1e-12).sum()
        found |= {"spearman": null[0], "p": (1 + reached) / (1 + PERMUTATIONS)}
    return {**found, "first": values[:third].mean(), "last": values[-third:].mean()}


def _standardised(values: Any) -> Any:
    """Rows of mean 0 and length 1, so that products of two are Pearson's correlations."""
    centred = values - values.mean(axis=-1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=-1, keepdims=True)


def cluster_rows(
    paths: PathData, baselines: Mapping[str, PathData], images: int, seed: int
) -> pd.DataFrame:
    """Do clusters of paths go with classes? Layer by layer, and over the whole network.

    Returns:
        layer (0 for the whole network), name, asked ("as many as classes" or "by silhouette"), and
        the columns of `PathClusters.scores` for AMI and purity.
    """
    wanted: list[int | None] = [None, *(layer.index for layer in paths.layers)]
    classes = paths.images["label"].nunique()
    frames = []
    for layer in wanted:
        for asked, count in (("as many as classes", classes), ("by silhouette", None)):
            found = path_clusters(
                paths, layer, clusters=count, baselines=baselines, max_images=images, seed=seed
            )
            where = {"layer": layer or 0, "name": found.title, "asked": asked}
            frames.append(found.scores.assign(**where))
    table = pd.concat(frames, ignore_index=True)
    return table[table["measure"] != "ARI"]


def class_path_rows(codes: Mapping[str, PathData]) -> pd.DataFrame:
    """How alike the class paths are: code and the columns of `ClassPaths.by_layer`."""
    found = {code: class_paths(data).by_layer for code, data in codes.items()}
    return pd.concat([frame.assign(code=code) for code, frame in found.items()])


def hierarchy_rows(
    paths: PathData, baselines: Mapping[str, PathData], hierarchy: Any, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Do classes that are akin travel alike? Mantel tests, layer by layer and over all layers.

    Returns:
        The rows, with layer 0 for the whole network: code, layer, name, pearson, spearman, p, p_holm,
        null_95 and direct (see `HierarchyComparison`); and the pairs of classes.
    """
    found = compare_with_hierarchy(
        paths, hierarchy, baselines=baselines, permutations=PERMUTATIONS, seed=seed
    )
    whole = found.frame.assign(layer=0, name="the whole network")
    return pd.concat([whole, found.by_layer], ignore_index=True), found.pairs


def information_rows(paths: PathData, baselines: Mapping[str, PathData], seed: int) -> pd.DataFrame:
    """What paths say of the class, layer by layer: the frame of `information_over_depth`."""
    return information_over_depth(
        paths,
        baselines=baselines,
        permutations=1,
        max_images=INFORMATION_IMAGES,
        seed=seed,
        progress=False,
    ).frame


def maps_of(
    codes: Mapping[str, PathData], layers: Iterable[int], images: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """t-SNE maps of some layers.

    Returns:
        What can be said of each map: code, layer, name, images, unique_paths, neighbours_kept and
        neighbours_by_chance (see `PathMap`), same_class (share of each image's 10 nearest on the map
        that are of its class) and same_class_by_chance; and the places: code, layer, image, x, y,
        label.
    """
    rows, places = [], []
    for layer in layers:
        for code, data in codes.items():
            found = path_map(data, layer, max_images=images, seed=seed)
            same, chance = _same_class(found.frame)
            rows.append(
                {
                    "code": code,
                    "layer": layer,
                    "name": data.layers.find(layer).name,
                    "images": min(images, len(data.images)),
                    "unique_paths": found.unique_paths,
                    "neighbours_kept": found.neighbours_kept,
                    "neighbours_by_chance": found.neighbours_by_chance,
                    "same_class": same,
                    "same_class_by_chance": chance,
                }
            )
            shown = found.frame[["image", "x", "y", "label"]]
            places.append(shown.assign(code=code, layer=layer))
    return pd.DataFrame(rows), pd.concat(places, ignore_index=True)


def _same_class(frame: pd.DataFrame) -> tuple[float, float]:
    """Share of the nearest images on a map that are of an image's class, and of any two images."""
    if len(frame) <= NEIGHBOURS:
        return float("nan"), float("nan")
    labels = frame["label"].to_numpy()
    # Images with one path share a place: a hair of noise lets lot decide which of them is nearest.
    spread = frame[["x", "y"]].to_numpy()
    spread = spread + np.random.default_rng(0).normal(0, 1e-6 * np.ptp(spread), spread.shape)
    nearest = KDTree(spread).query(spread, NEIGHBOURS + 1)[1][:, 1:]
    counts = np.bincount(labels)
    chance = (counts * (counts - 1)).sum() / (len(labels) * (len(labels) - 1))
    return float((labels[nearest] == labels[:, None]).mean()), float(chance)
