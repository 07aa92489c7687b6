"""Concepts as yes/no properties of images, and the halves on which they are searched and tested."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
        within_class: Names of the concepts that all images of a class have, or none.
    """

    names: tuple[str, ...]
    discovery: Ints
    confirmation: Ints
    found: Bits
    tested: Bits
    left_out: tuple[str, ...]
    of_classes: bool = False
    within_class: tuple[str, ...] = ()


def split_halves(images: pd.DataFrame, seed: int) -> Bits:
    """Which images are for discovery: bool (images,), about half of them, by seed.

    Images of one `group` (a video, a source image) are all on one side; an image whose group is
    missing or empty is a group of its own.

    Raises:
        PathLensError: If one half would be empty.
    """
    group = _groups(images)
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


def _groups(images: pd.DataFrame) -> Ints:
    """Group of each image as a number from 0."""
    if "group" not in images:
        return np.arange(len(images), dtype=np.int64)
    named = images["group"].where(images["group"] != "")
    codes = pd.factorize(named, sort=True)[0].astype(np.int64)
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
    return codes


def count_groups(images: pd.DataFrame) -> int:
    """Number of groups of which at least one holds several images; 0 where all are alone."""
    groups = int(_groups(images).max(initial=-1)) + 1
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
    return replace(found, of_classes=True)


def table_targets(data: PathData, concepts: pd.DataFrame, discovery: Bits) -> Targets:
    """The concepts of a concept table, for the images that it names.

    Raises:
        PathLensError: If it names no image of the recording.
    """
    matrix, known = concept_matrix(concepts, data.images["image"].tolist())
    names = [str(name) for name in matrix.columns]
    values = matrix.to_numpy(dtype=np.float64)
    targets = _targets(names, values, np.asarray(known, dtype=np.bool_), discovery)
    return _mark_within_class(data, targets)


def _targets(names: list[str], values: Floats, known: Bits, discovery: Bits) -> Targets:
    first = np.flatnonzero(known & discovery)
    second = np.flatnonzero(known & ~discovery)
    cut = _thresholds(values, known, first)
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
    """Name the concepts that are functions of the class: they have as many samples as classes."""
    groups = grouping(data)
    if groups is None or groups.by != "label":
        return targets
    codes = groups.codes[np.concatenate([targets.discovery, targets.confirmation])]
    values = np.concatenate([targets.found, targets.tested])[codes >= 0]
    codes = codes[codes >= 0]
    member = (codes[:, None] == np.unique(codes)).astype(np.int64)
    share = member.T @ values.astype(np.int64)
    fixed = ((share == 0) | (share == member.sum(axis=0)[:, None])).all(axis=0)
    names = tuple(n for n, here in zip(targets.names, fixed, strict=True) if here)
    return replace(targets, within_class=names)
