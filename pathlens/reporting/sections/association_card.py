"""The one association that the first screen shows: its images, and what baselines reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pathlens.reporting.encode import finite
from pathlens.reporting.sections.base import Context, Gap, PageImages, attempt

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import Associations

EXAMPLES = 5
"""Images of each kind on the card: a row of them."""


@dataclass(frozen=True)
class Card:
    """One confirmed association.

    Attributes:
        row: Its row.
        gaining: Whether it says more than any single filter of its layer.
        images: For each kind of example (hits, false alarms, misses) ids drawn at random.
        counts: For each kind how many images there are.
        rivals: What each baseline's best combination for the same concept and layer reaches.
    """

    row: Mapping[str, Any]
    gaining: bool
    images: Mapping[str, list[str]]
    counts: Mapping[str, int]
    rivals: list[dict[str, Any]]

    def data(self, page: PageImages) -> dict[str, Any]:
        """What the script draws."""
        return {
            "row": {key: finite(value, 4) for key, value in self.row.items()},
            "gaining": self.gaining,
            "images": {kind: page.known(ids) for kind, ids in self.images.items()},
            "counts": dict(self.counts),
            "rivals": self.rivals,
        }


def strongest(frame: pd.DataFrame) -> tuple[pd.Series, bool] | None:
    """The confirmed row to show, and whether it says more than any single filter.

    The strongest combination that beats every single filter, else the strongest confirmed row.
    """
    confirmed = frame[frame["confirmed"] & frame["phi"].notna()]
    if confirmed.empty:
        return None
    gaining = confirmed[confirmed["gain_ci_low"] > 0]
    chosen = gaining if len(gaining) else confirmed
    return chosen.sort_values("phi", ascending=False, kind="stable").iloc[0], bool(len(gaining))


def card_of(context: Context, found: Associations) -> Card | None:
    """The card of the strongest confirmed association; None if none was confirmed."""
    from pathlens.analysis.associating.association_examples import association_examples

    best = strongest(found.frame)
    if best is None:
        return None
    row, gaining = best
    examples = association_examples(
        context.recording,
        row["name"],
        row["combination"],
        row["concept"],
        concepts=context.concepts,
        seed=context.seed,
        count=EXAMPLES,
    )
    ids = context.recording.images["image"].to_numpy()
    shown = {kind: [str(image) for image in ids[rows]] for kind, rows in examples.shown.items()}
    return Card(
        {str(key): row[key] for key in row.index},
        gaining,
        shown,
        examples.counts,
        _rivals(context, row),
    )


def _rivals(context: Context, row: pd.Series) -> list[dict[str, Any]]:
    """The same search in the same layer of every baseline, for the same concept."""
    from pathlens.analysis import associations
    from pathlens.analysis.baselines import matched

    concepts = context.recording.concepts() if context.concepts is None else context.concepts
    codes = matched(context.recording, context.baselines)
    rivals = []
    for name in context.baselines:
        found = attempt(
            partial(associations, codes[name], [row["name"]], concepts, seed=context.seed)
        )
        best = None if isinstance(found, Gap) else _best_for(found.frame, row["concept"])
        rivals.append({"name": name, **(best or {"combination": None})})
    return rivals


def _best_for(frame: pd.DataFrame, concept: str) -> dict[str, Any] | None:
    """The combination that was best on discovery images, with its numbers on the others."""
    same = frame[frame["concept"] == concept]
    if same.empty:
        return None
    best = same.sort_values("phi_discovery", ascending=False, kind="stable").iloc[0]
    keys = ("combination", "phi", "phi_ci_low", "phi_ci_high", "precision", "recall")
    return {key: finite(best[key], 4) for key in keys}
