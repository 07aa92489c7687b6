"""What is asked about combinations: which filters, which concept, and on which images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.associating.association_table import Associations
from pathlens.analysis.associating.targets import (
    Targets,
    class_targets,
    split_halves,
    table_targets,
)
from pathlens.analysis.associating.trial import all_on
from pathlens.analysis.source import Bits, Ints
from pathlens.errors import PathLensError
from pathlens.layers import Layer
from pathlens.recording.reader import Recording

_OTHERS = "give the recording, the concept table and the threshold that were searched."


@dataclass(frozen=True)
class ConceptImages:
    """The images on which a concept is read; rows of the recording, in rising order.

    Attributes:
        fitted: int64, discovery images, for the read-out.
        fitted_has: bool, which of them have the concept.
        measured: int64, confirmation images, for the effect.
        has: bool, which of them have the concept.
    """

    fitted: Ints = field(repr=False)
    fitted_has: Bits = field(repr=False)
    measured: Ints = field(repr=False)
    has: Bits = field(repr=False)


@dataclass(frozen=True)
class Question:
    """What the filters of a combination do to the read-out of a concept.

    Attributes:
        layer: The layer of the combination.
        combination: Its filters, joined by "+".
        concept: The concept.
        images: The images.
    """

    layer: Layer
    combination: str
    concept: str
    images: ConceptImages = field(repr=False)

    @property
    def filters(self) -> Ints:
        """The filters, in rising order."""
        return np.array(sorted(int(x) for x in self.combination.split("+")), dtype=np.int64)


def questions_of(
    source: Recording,
    rows: pd.DataFrame,
    split: int,
    table: pd.DataFrame | None,
    threshold: float | None,
    *,
    images: int,
    fit_images: int,
    seed: int,
) -> list[Question]:
    """A question for every row of a table of associations, after a look at whether they fit.

    Images are taken in one order that the seed draws, so that concepts share many of them.

    Args:
        source: The recording.
        rows: Some rows of `Associations.frame`.
        split: Seed that its images were split by.
        table: The concept table that was searched; None for the recording's own.
        threshold: The threshold that was searched with.
        images: Confirmation images a concept, at most; half with it and half without where possible.
        fit_images: The same of discovery images.
        seed: Draws the images.

    Raises:
        PathLensError: If the rows are not of this recording, concept table, threshold and split.
    """
    targets = _targets(source, split, table, threshold)
    order = np.random.default_rng(seed).permutation(len(source))
    chosen: dict[str, ConceptImages] = {}
    for concept in rows["concept"].unique():
        chosen[concept] = _images(*_known(concept, targets), order, images, fit_images)
    found: dict[int, Question] = {}
    for name, group in rows.groupby("name", sort=False):
        layer, bits = source.layers.find(str(name)), source.bits(str(name))
        for place, row in zip(group.index.tolist(), group.to_dict("records"), strict=True):
            asked = Question(layer, row["combination"], row["concept"], chosen[row["concept"]])
            _require_same(row, asked, bits, targets)
            found[place] = asked
    return [found[place] for place in sorted(found)]


def chosen_rows_of(found: Associations, *, confirmed_only: bool) -> pd.DataFrame:
    """The associations to ask about, each once, numbered from 0."""
    rows = found.confirmed if confirmed_only else found.frame
    return rows.drop_duplicates(["name", "combination", "concept"]).reset_index(drop=True)


def _targets(
    source: Recording, split: int, table: pd.DataFrame | None, threshold: float | None
) -> list[Targets]:
    discovery = split_halves(source.images, split)
    searched = source.concepts() if table is None else table
    named = None
    if searched is not None:
        named = table_targets(source, searched, discovery, threshold)
    return [x for x in (class_targets(source, discovery), named) if x is not None]


def _known(concept: str, targets: Sequence[Targets]) -> tuple[Targets, int]:
    """What is known of a concept, and its column there."""
    for target in targets:
        if concept in target.names:
            return target, target.names.index(concept)
    raise PathLensError(f"Concept '{concept}' of the associations is not known here: {_OTHERS}")


def _images(
    target: Targets, column: int, order: Ints, images: int, fit_images: int
) -> ConceptImages:
    rank = np.argsort(order).astype(np.int64)
    found, tested = target.found[:, column], target.tested[:, column]
    fitted = _balanced(found, rank[target.discovery], fit_images)
    measured = _balanced(tested, rank[target.confirmation], images)
    return ConceptImages(
        fitted=target.discovery[fitted],
        fitted_has=found[fitted],
        measured=target.confirmation[measured],
        has=tested[measured],
    )


def _balanced(has: Bits, rank: Ints, most: int) -> Ints:
    """Positions of the first images in rank, half with the concept as far as there are, rising."""
    inside = min(int(has.sum()), max(most // 2, most - int((~has).sum())))
    sides = ((has, inside), (~has, most - inside))
    first = [np.flatnonzero(side)[np.argsort(rank[side])][:count] for side, count in sides]
    return np.sort(np.concatenate(first)).astype(np.int64)


def _require_same(
    row: Mapping[Any, Any], asked: Question, bits: Bits, targets: Sequence[Targets]
) -> None:
    """Refuse a row whose counts are not those of the images at hand."""
    target, column = _known(asked.concept, targets)
    filters = asked.filters
    if filters[0] >= 0 and filters[-1] < asked.layer.filters:
        on = all_on(bits[target.confirmation], filters)
        both = int((on & target.tested[:, column]).sum())
        said = row["precision"] * row["support"] if row["support"] else 0.0
        if (len(on), int(on.sum()), both) == (row["n"], row["support"], round(said)):
            return
    raise PathLensError(
        f"The association of '{asked.concept}' with filters {asked.combination} of layer "
        f"{asked.layer.name} was not found on these images: {_OTHERS}"
    )
