"""Class paths against a class hierarchy: whether classes that are akin travel alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.baselines import OWN, matched
from pathlens.analysis.classes.class_hierarchies import Hierarchy, class_distances
from pathlens.analysis.classes.class_paths import ClassPaths, class_paths
from pathlens.analysis.classes.class_similarity import tree
from pathlens.analysis.drawing import empty_figure
from pathlens.analysis.mantel import mantel, pearson, ranks
from pathlens.analysis.results import Result, join_notes, plural
from pathlens.analysis.source import Floats, PathData
from pathlens.analysis.statistics import holm
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST_CLASSES = 4


@dataclass(frozen=True)
class HierarchyComparison(Result):
    """Correlation of the dendrogram of class paths with a class hierarchy.

    Attributes:
        frame: A row a code ("paths", then the baselines): code, pearson and spearman (correlation,
            over pairs of classes, of the cophenetic distances of its dendrogram with the distances
            in the hierarchy), p and p_spearman (Mantel tests of the two, one-sided), null_95 (95 %
            quantile of pearson when classes are permuted), direct (Pearson's correlation of the
            distances that the dendrogram was made from), fit (how well the dendrogram renders them:
            its cophenetic correlation with them).
        by_layer: A row a code and layer: code, layer, name, pearson, spearman, p, p_spearman and
            p_holm (p corrected by Holm over the layers of the code). Not a number where a layer has
            one path for all classes.
        pairs: A row a pair of classes: first, second, hierarchy, cophenetic and distance (1 -
            similarity of class paths), of the recording itself.
        classes: Names of the classes compared.
        linkage: Average linkage of the class paths: float64 (classes - 1, 4).
        hierarchy_linkage: The same of the hierarchy's distances.
        permutations: Number of permutations behind p.
        by: "label", or "prediction" where true classes are unknown.
        title: The layers, in words.
        left_out: Classes that could not be compared.
    """

    frame: pd.DataFrame
    by_layer: pd.DataFrame = field(repr=False)
    pairs: pd.DataFrame = field(repr=False)
    classes: tuple[str, ...]
    linkage: Floats = field(repr=False)
    hierarchy_linkage: Floats = field(repr=False)
    permutations: int
    by: str
    title: str
    left_out: str

    def summary(self) -> str:
        """Cophenetic correlation of paths and baselines with the hierarchy, and p."""
        codes = self.frame.set_index("code")
        own, found = codes.loc[OWN], codes.drop(index=OWN).dropna()
        if not np.isfinite(own["pearson"]):
            return (
                f"In {self.title} all classes have the same path, or the hierarchy tells none of "
                "them apart: there is nothing to correlate."
            )
        others = ", ".join(
            f"{name} {value:.2f} (p = {p:.2g})"
            for name, value, p in zip(found.index, found["pearson"], found["p"], strict=True)
        )
        return (
            f"In {self.title} the dendrogram of {len(self.classes)} class paths correlates with the "
            f"hierarchy by {own['pearson']:.2f} (Pearson; Spearman {own['spearman']:.2f}), p = "
            f"{own['p']:.2g} by {plural(self.permutations, 'permutation')} of the classes, of which "
            f"one in 20 reaches {own['null_95']:.2f}{f'; baselines: {others}' * bool(others)}."
        )

    def plot(self) -> Figure:
        """Both dendrograms face to face, pairs of classes against each other, and over depth."""
        if self.frame["pearson"].isna().iloc[0]:
            return empty_figure(f"Class paths and hierarchy, {self.title}", self.summary())
        from pathlens.analysis.classes.hierarchy_drawing import draw_comparison

        return draw_comparison(self)


def compare_with_hierarchy(
    data: PathData,
    hierarchy: Hierarchy,
    layer: LayerSpec | None = None,
    *,
    baselines: Mapping[str, PathData] | None = None,
    names: Mapping[str, str] | None = None,
    permutations: int = 9999,
    seed: int = 0,
) -> HierarchyComparison:
    """Correlate the dendrogram of class paths, and those of baselines, with a class hierarchy.

    The cophenetic distance of two classes is the height at which average linkage joins them (Sokal &
    Rohlf 1962); their distance in the hierarchy is that of `class_distances`. P values come from
    permuting the classes (Mantel 1967). The p of a baseline tells whether *its* dendrogram follows
    the hierarchy; what paths add is the difference between the rows.

    Args:
        data: A recording.
        hierarchy: Superclasses, distances or a tree, as `class_distances` takes them.
        layer: Number, name or glob; None for the whole network.
        baselines: Recordings of other codes of the same images, by name.
        names: What the recording calls a class of the hierarchy, where the two differ.
        permutations: Number of permutations.
        seed: Seed of the permutations.

    Raises:
        PathLensError: If a layer is unknown, classes are unknown, fewer than 4 classes can be
            compared, the hierarchy cannot be read, or a baseline lacks images or layers.
    """
    codes = {name: class_paths(code, layer) for name, code in matched(data, baselines).items()}
    return compare_class_paths(codes, hierarchy, names=names, permutations=permutations, seed=seed)


def compare_class_paths(
    codes: Mapping[str, ClassPaths],
    hierarchy: Hierarchy,
    *,
    names: Mapping[str, str] | None = None,
    permutations: int = 9999,
    seed: int = 0,
) -> HierarchyComparison:
    """What `compare_with_hierarchy` does, for class paths that are there already.

    Args:
        codes: Class paths of the recording under "paths", and of its baselines by their names.
        hierarchy: As above.
        names: As above.
        permutations: As above.
        seed: As above.

    Raises:
        PathLensError: As above.
    """
    if permutations < 1:
        raise PathLensError(f"permutations is {permutations}: give at least 1.")
    own = codes[OWN]
    distances = class_distances(hierarchy, own.similarity.index, names)
    classes = list(distances.index)
    if len(classes) < FEWEST_CLASSES:
        raise PathLensError(
            f"The hierarchy knows {plural(len(classes), 'class', 'classes')} of the recording, "
            f"fewer than {FEWEST_CLASSES}: there is too little to compare; give `names` if it "
            "calls them otherwise."
        )
    other = _pairs(distances)
    tests = [_tested(name, one, classes, other, permutations, seed) for name, one in codes.items()]
    return HierarchyComparison(
        frame=pd.concat([total for total, _ in tests], ignore_index=True),
        by_layer=pd.concat([layers for _, layers in tests], ignore_index=True),
        pairs=_pair_table(own.similarity.loc[classes, classes], other),
        classes=tuple(classes),
        linkage=_linkage(own.similarity.loc[classes, classes]),
        hierarchy_linkage=_linkage(1 - distances),
        permutations=permutations,
        by=own.by,
        title=own.title,
        left_out=_left_out(own, classes),
    )


def _tested(
    code: str, paths: ClassPaths, classes: list[str], other: Floats, permutations: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The row of one code, and its rows by layer."""
    numbers = paths.by_layer["layer"].tolist()
    alike = [paths.similarity, *(paths.similarity_in(number) for number in numbers)]
    alike = [one.loc[classes, classes] for one in alike]
    heights = np.stack([_cophenetic(one) for one in alike])
    linear = mantel(heights, other, permutations, seed)
    by_rank = mantel(ranks(heights), ranks(other), permutations, seed)
    table = pd.DataFrame(
        {
            "code": code,
            "layer": [0, *numbers],
            "name": ["", *paths.by_layer["name"]],
            "pearson": linear.correlation,
            "spearman": by_rank.correlation,
            "p": linear.p,
            "p_spearman": by_rank.p,
        }
    )
    own = _pairs(1 - alike[0])
    total = table.iloc[:1].drop(columns=["layer", "name"])
    total = total.assign(
        null_95=linear.null_95[0], direct=pearson(own, other), fit=pearson(own, heights[0])
    )
    by_layer = table.iloc[1:].reset_index(drop=True)
    return total, by_layer.assign(p_holm=_holm(by_layer["p"].to_numpy()))


def _holm(p: Floats) -> Floats:
    known = np.isfinite(p)
    corrected = np.full(len(p), np.nan)
    corrected[known] = holm(p[known])
    return corrected


def _pairs(square: pd.DataFrame) -> Floats:
    from scipy.spatial.distance import squareform

    return np.asarray(squareform(square.to_numpy(), checks=False))


def _linkage(similarity: pd.DataFrame) -> Floats:
    return tree(similarity.to_numpy())[0]


def _cophenetic(similarity: pd.DataFrame) -> Floats:
    from scipy.cluster.hierarchy import cophenet

    return np.asarray(cophenet(_linkage(similarity)))


def _pair_table(similarity: pd.DataFrame, other: Floats) -> pd.DataFrame:
    rows, columns = np.triu_indices(len(similarity), 1)
    names = similarity.index.to_numpy()
    return pd.DataFrame(
        {
            "first": names[rows],
            "second": names[columns],
            "hierarchy": other,
            "cophenetic": _cophenetic(similarity),
            "distance": _pairs(1 - similarity),
        }
    )


def _left_out(own: ClassPaths, classes: list[str]) -> str:
    missing = [name for name in own.similarity.index if name not in set(classes)]
    shown = ", ".join(missing[:8]) + ", ..." * (len(missing) > 8)
    lacking = plural(len(missing), "class", "classes")
    return join_notes(
        [own.left_out, f"{lacking} that the hierarchy lacks ({shown})" if missing else ""]
    )
