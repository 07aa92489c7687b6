"""Concepts as yes/no properties of images, and the halves on which they are searched and tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from pathlens.analysis.results import plural
from pathlens.analysis.source import Bits, Floats, Ints, PathData, grouping
from pathlens.concepts import concept_matrix
from pathlens.errors import PathLensError

FEWEST_POSITIVES = 5


@dataclass(frozen=True)
class Targets:
    """Concepts that are known for the same images.

    Attributes:
        names: Names of the concepts.
        discovery: int64, positions of the discovery images.
        confirmation: int64, positions of the confirmation images.
        found: bool (discovery images, concepts): the image has the concept.
        tested: bool (confirmation images, concepts).
        left_out: Sentences about concepts that cannot be tested.
        of_classes: Whether these are the classes themselves.
        classes: int64 (classes,), labels of the images, in rising order; empty if unknown.
        class_sets: For every concept that all images of a class have, or none: bool (classes,),
            which classes have it.
    """

    names: tuple[str, ...]
    discovery: Ints
    confirmation: Ints
    found: Bits
    tested: Bits
    left_out: tuple[str, ...]
    of_classes: bool = False
    classes: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    class_sets: Mapping[str, Bits] = field(default_factory=dict)

    @property
    def spanning(self) -> dict[str, Bits]:
        """Those of `class_sets` that are no class but several: samples are classes, not images."""
        return {name: own for name, own in self.class_sets.items() if own.sum() > 1}


def split_halves(images: pd.DataFrame, seed: int) -> Bits:
    """Which images are for discovery: bool (images,), about half of them, by seed.

    Images of one `group` (a video, a source image) are all on one side; an image whose group is
    missing or empty is a group of its own.

    Raises:
        PathLensError: If one half would be empty.
    """
    group = group_codes(images)
    sizes = np.bincount(group)
    if len(sizes) < 2:
        raise PathLensError(
            f"{plural(len(images), 'image')} in {plural(len(sizes), 'group')} cannot be split into "
            "discovery and confirmation halves: record images of at least two groups."
        )
    on_discovery = np.zeros(len(sizes), dtype=np.bool_)
    balance = 0
    for one in np.random.default_rng(seed).permutation(len(sizes)):
        on_discovery[one] = balance <= 0
        balance += int(sizes[one]) if balance <= 0 else -int(sizes[one])
    return np.asarray(on_discovery[group])


def group_codes(images: pd.DataFrame) -> Ints:
    """Group of each image as a number from 0; an image whose group is not named is its own."""
    if "group" not in images:
        return np.arange(len(images), dtype=np.int64)
    named = images["group"].where(images["group"] != "")
    codes = pd.factorize(named, sort=True)[0].astype(np.int64)
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
    return codes


def count_groups(images: pd.DataFrame) -> int:
    """Number of groups of which at least one holds several images; 0 where all are alone."""
    groups = int(group_codes(images).max(initial=-1)) + 1
    return groups if groups < len(images) else 0


def class_targets(data: PathData, discovery: Bits) -> Targets | None:
    """A concept `class:<name>` for each true class; None where labels are unknown."""
    groups = grouping(data)
    if groups is None or groups.by != "label":
        return None
    known = groups.codes >= 0
    values = groups.codes[:, None] == np.arange(len(groups.names))
    present = values.any(axis=0)
    names = [f"class:{x}" for x, here in zip(groups.names, present, strict=True) if here]
    found = _targets(names, values[:, present].astype(np.float64), known, discovery)
    if len(names) == 1:
        alone = f"classes, as all images are of one ({names[0].removeprefix('class:')})"
        found = replace(found, left_out=(alone,))
    return replace(found, of_classes=True)


def table_targets(
    data: PathData, concepts: pd.DataFrame, discovery: Bits, threshold: float | None = None
) -> Targets:
    """The concepts of a concept table, for the images that it names.

    Args:
        data: The recording.
        concepts: Columns image, concept, value.
        discovery: bool (images,), which images are for discovery.
        threshold: Value above which an image has a concept; None for 0, or the median of positive
            discovery values where a concept's values are shares.

    Raises:
        PathLensError: If it is no concept table, names no image of the recording, or only images of
            one half.
    """
    _require_table(concepts)
    matrix, known = concept_matrix(concepts, data.images["image"].tolist())
    names = [str(name) for name in matrix.columns]
    values = matrix.to_numpy(dtype=np.float64)
    seen = np.asarray(known, dtype=np.bool_)
    _require_both_halves(seen, discovery)
    return _mark_within_class(data, _targets(names, values, seen, discovery, threshold))


def _require_table(concepts: pd.DataFrame) -> None:
    missing = [name for name in ("image", "concept", "value") if name not in concepts]
    if missing:
        raise PathLensError(
            f"The concept table has no column {missing[0]!r}: give the columns image, concept, value, "
            "as `pathlens.concepts.read_concepts` does."
        )
    twice = concepts[concepts.duplicated(["image", "concept"])]
    if len(twice):
        image, concept = twice.iloc[0][["image", "concept"]]
        raise PathLensError(
            f"The concept table repeats concept '{concept}' of image '{image}': keep one row of it."
        )
    bad = concepts[~pd.to_numeric(concepts["value"], errors="coerce").between(0, 1)]
    if len(bad):
        image, concept, value = bad.iloc[0][["image", "concept", "value"]]
        raise PathLensError(
            f"The concept table gives concept '{concept}' of image '{image}' the value {value}: "
            "values are numbers from 0 to 1."
        )


def _require_both_halves(known: Bits, discovery: Bits) -> None:
    for half, inside in (("discovery", discovery), ("confirmation", ~discovery)):
        if not (known & inside).any():
            raise PathLensError(
                f"The concept table names {plural(int(known.sum()), 'image')} of the recording, and "
                f"none is a {half} image: name images of more groups, or choose another seed."
            )


def _targets(
    names: list[str],
    values: Floats,
    known: Bits,
    discovery: Bits,
    threshold: float | None = None,
) -> Targets:
    first = np.flatnonzero(known & discovery)
    second = np.flatnonzero(known & ~discovery)
    cut = _thresholds(values, known, first)
    if threshold is not None:
        cut = np.full(len(names), threshold)
    found, tested = values[first] > cut, values[second] > cut
    constant = _constant(found) | _constant(tested)
    positives = np.minimum(found.sum(axis=0), tested.sum(axis=0))
    rare = ~constant & (positives < FEWEST_POSITIVES)
    few = f"fewer than {FEWEST_POSITIVES} images in a half"
    notes = [
        _note(names, constant, "that all or none of the images of a half have"),
        _note(names, rare, f"with {few}"),
    ]
    kept = ~constant & ~rare
    return Targets(
        names=tuple(name for name, keep in zip(names, kept, strict=True) if keep),
        discovery=first,
        confirmation=second,
        found=found[:, kept],
        tested=tested[:, kept],
        left_out=tuple(note for note in notes if note),
    )


def _thresholds(values: Floats, known: Bits, discovery: Ints) -> Floats:
    """Value above which an image has the concept: 0, or for shares the median of positive ones.

    Only discovery images decide about the median.
    """
    cuts = np.zeros(values.shape[1])
    for i, column in enumerate(values.T):
        if not np.isin(column[known], (0.0, 1.0)).all():
            positive = column[discovery][column[discovery] > 0]
            cuts[i] = np.median(positive) if len(positive) else 0.0
    return cuts


def _constant(on: Bits) -> Bits:
    total = on.sum(axis=0)
    return np.asarray((total == 0) | (total == len(on)))


def _note(names: list[str], chosen: Bits, reason: str) -> str:
    those = [name for name, here in zip(names, chosen, strict=True) if here]
    if not those:
        return ""
    shown = ", ".join(those[:12]) + (f" and {len(those) - 12} more" if len(those) > 12 else "")
    return f"{plural(len(those), 'concept')} {reason} ({shown})"


def _mark_within_class(data: PathData, targets: Targets) -> Targets:
    """Find the concepts that are functions of the class: they have as many samples as classes."""
    groups = grouping(data)
    if groups is None or groups.by != "label":
        return targets
    codes = groups.codes[np.concatenate([targets.discovery, targets.confirmation])]
    values = np.concatenate([targets.found, targets.tested])[codes >= 0]
    classes = np.unique(codes[codes >= 0])
    member = (codes[codes >= 0, None] == classes).astype(np.int64)
    share = member.T @ values.astype(np.int64)
    fixed = ((share == 0) | (share == member.sum(axis=0)[:, None])).all(axis=0)
    sets = {name: share[:, i] > 0 for i, name in enumerate(targets.names) if fixed[i]}
    return replace(targets, classes=classes, class_sets=sets)
