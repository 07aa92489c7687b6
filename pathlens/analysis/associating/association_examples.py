"""Images that bear an association out, and images that speak against it, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pathlens.analysis.associating.targets import (
    Targets,
    class_targets,
    split_halves,
    table_targets,
)
from pathlens.analysis.source import Bits, Ints, PathData
from pathlens.errors import PathLensError

KINDS = ("hits", "false alarms", "misses")
"""On the combination with the concept; on it without; off it with."""


@dataclass(frozen=True)
class Examples:
    """Confirmation images of one association.

    Attributes:
        shown: For each of `KINDS` the positions of some of its images, drawn at random.
        counts: For each of `KINDS` how many images there are.
        images: Confirmation images of which the concept is known.
    """

    shown: dict[str, Ints]
    counts: dict[str, int]
    images: int


def association_examples(
    data: PathData,
    layer: int | str,
    combination: str,
    concept: str,
    *,
    concepts: pd.DataFrame | None = None,
    seed: int = 0,
    count: int = 6,
    threshold: float | None = None,
) -> Examples:
    """Draw images for and against a row of `associations`, from the half that was not searched.

    Args:
        data: The recording.
        layer: The row's layer.
        combination: The row's combination, filters joined by "+".
        concept: The row's concept.
        concepts: The concept table that was searched; None for the recording's own.
        seed: The seed that was searched with; it also draws the images.
        count: Images of each kind, at most.
        threshold: The threshold that was searched with.

    Raises:
        PathLensError: If there is no such concept with enough images.
    """
    discovery = split_halves(data.images, seed)
    table = data.concepts() if concepts is None else concepts
    named = None if table is None else table_targets(data, table, discovery, threshold)
    rows, has = _concept(concept, class_targets(data, discovery), named)
    bits = data.bits(layer)[rows]
    on = np.asarray(bits[:, [int(x) for x in combination.split("+")]].all(axis=1))
    members = {"hits": on & has, "false alarms": on & ~has, "misses": ~on & has}
    rng = np.random.default_rng(seed)
    shown = {kind: np.sort(rng.permutation(rows[which])[:count]) for kind, which in members.items()}
    return Examples(shown, {kind: int(x.sum()) for kind, x in members.items()}, len(rows))


def _concept(concept: str, *known: Targets | None) -> tuple[Ints, Bits]:
    """Positions of the confirmation images that know the concept, and whether they have it."""
    for targets in known:
        if targets is not None and concept in targets.names:
            return targets.confirmation, targets.tested[:, targets.names.index(concept)]
    raise PathLensError(f"No concept {concept!r} was tested: name one of the associations' own.")
