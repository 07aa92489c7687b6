"""Class by class: which classes moved between two recordings, whatever their filters are called."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pathlens.analysis.classes.class_paths import ClassPaths, class_paths
from pathlens.analysis.comparing.compare_views import Common
from pathlens.analysis.mantel import mantel
from pathlens.analysis.rate_tests import tally
from pathlens.analysis.results import join_notes, plural
from pathlens.analysis.source import Bits, Floats, Ints, grouping

FEWEST_CLASSES = 4
"""With fewer classes there are too few orders of them for a permutation test."""


@dataclass(frozen=True)
class ClassTables:
    """Classes of two recordings.

    Attributes:
        classes: A row a class, as `Comparison.classes` documents it.
        scores: At most one row, the agreement of class similarities.
        left_out: Classes that could not be compared.
    """

    classes: pd.DataFrame = field(repr=False)
    scores: pd.DataFrame = field(repr=False)
    left_out: str


def compare_classes(common: Common, permutations: int, seed: int) -> ClassTables:
    """Compare the similarities of classes, and their rates where filters are shared."""
    if grouping(common.a) is None or grouping(common.b) is None:
        return ClassTables(pd.DataFrame(), pd.DataFrame(), "classes (unknown in one of the two)")
    a, b = class_paths(common.a, seed=seed), class_paths(common.b, seed=seed)
    names = [name for name in a.counts.index if name in b.counts.index]
    notes = [_unshared(a, b, names), "true classes" * (a.by != "label" or b.by != "label")]
    if not names:
        return ClassTables(pd.DataFrame(), pd.DataFrame(), join_notes(notes))
    alike_a = a.similarity.loc[names, names].to_numpy()
    alike_b = b.similarity.loc[names, names].to_numpy()
    change, chance = _rate_changes(common, a, b, names)
    classes = pd.DataFrame(
        {
            "class": names,
            "images_a": a.counts[names].to_numpy(),
            "images_b": b.counts[names].to_numpy(),
            "rate_change": change,
            "rate_chance": chance,
            "row_correlation": _row_correlations(alike_a, alike_b),
            "nearest_a": _nearest(alike_a, names),
            "nearest_b": _nearest(alike_b, names),
        }
    )
    if len(names) < FEWEST_CLASSES:
        notes.append(f"agreement of class similarities (it needs {FEWEST_CLASSES} shared classes)")
        return ClassTables(classes, pd.DataFrame(), join_notes(notes))
    score = _mantel_row(alike_a, alike_b, permutations, seed)
    if score["value"].isna().any():
        notes.append("agreement of class similarities (all classes are alike in one of the two)")
        score = score.iloc[:0]
    return ClassTables(classes, score, join_notes(notes))


def _unshared(a: ClassPaths, b: ClassPaths, names: list[str]) -> str:
    alone = len(a.counts) + len(b.counts) - 2 * len(names)
    return f"{plural(alone, 'class', 'classes')} that only one of the two has" if alone else ""


def _mantel_row(a: Floats, b: Floats, permutations: int, seed: int) -> pd.DataFrame:
    pairs = np.triu_indices(len(a), 1)
    found = mantel(a[pairs][None], b[pairs], permutations, seed)
    return pd.DataFrame(
        {
            "measure": "class similarity (Mantel r)",
            "value": found.correlation,
            "null_95": found.null_95,
            "p": found.p,
        }
    )


def _row_correlations(a: Floats, b: Floats) -> list[float]:
    """Correlation of each class's similarities to all others in A with those in B."""
    found = []
    for i in range(len(a)):
        left, right = np.delete(a[i], i), np.delete(b[i], i)
        # Two points always lie on a line, and a constant has no correlation.
        usable = len(left) > 2 and np.ptp(left) > 0 and np.ptp(right) > 0
        found.append(float(np.corrcoef(left, right)[0, 1]) if usable else float("nan"))
    return found


def _nearest(similarity: Floats, names: list[str]) -> list[str]:
    """The most similar other class; the empty string where there is none."""
    if len(names) < 2:
        return [""] * len(names)
    others = similarity - 2 * np.eye(len(names))
    return [names[i] for i in others.argmax(axis=1)]


def _rate_changes(
    common: Common, a: ClassPaths, b: ClassPaths, names: list[str]
) -> tuple[Floats, Floats]:
    """Mean |rate in B - rate in A| by class, and what it would be by chance alone.

    Both are means over the filters that are dynamic in one of the two; not a number where no layer
    is shared.
    """
    unknown = np.full(len(names), np.nan)
    if not common.layers:
        return unknown, unknown
    rates_a, rates_b = a.rates.loc[names].to_numpy(), b.rates.loc[names].to_numpy()
    still = (np.ptp(np.concatenate([rates_a, rates_b]), axis=0) == 0) & np.isin(rates_a[0], (0, 1))
    if still.all():
        return np.zeros(len(names)), np.zeros(len(names))
    sizes = a.counts[names].to_numpy()[:, None], b.counts[names].to_numpy()[:, None]
    if common.paired:
        spread = np.sqrt(_changed(common, names)) / sizes[0]
    else:
        middle = (rates_a * sizes[0] + rates_b * sizes[1]) / (sizes[0] + sizes[1])
        spread = np.sqrt(middle * (1 - middle) * (1 / sizes[0] + 1 / sizes[1]))
    change = np.abs(rates_b - rates_a)[:, ~still].mean(axis=1)
    # The mean of |x| for a normal x of spread s is s times the square root of 2/pi.
    return change, np.sqrt(2 / np.pi) * spread[:, ~still].mean(axis=1)


def _changed(common: Common, names: list[str]) -> Ints:
    """Images of each class whose gate differs between the two: int64 (classes, filters)."""
    member = _members(common, names)
    layers = [layer.name for layer in common.layers]
    return np.concatenate(
        [tally(common.a.bits(name) != common.b.bits(name), member) for name in layers], axis=1
    )


def _members(common: Common, names: list[str]) -> Bits:
    groups = grouping(common.a)
    if groups is None:
        return np.zeros((len(names), len(common.a.images)), dtype=np.bool_)
    codes = np.array([groups.names.index(name) for name in names])
    return np.asarray(groups.codes == codes[:, None])
