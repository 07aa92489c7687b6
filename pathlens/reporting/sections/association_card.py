"""Cards of confirmed associations, and pictures of where combinations respond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pathlens.analysis.associating.measurements import IOU
from pathlens.analysis.associating.turns import in_turn
from pathlens.reporting.encode import finite
from pathlens.reporting.sections.base import Context, PageImages

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import Associations

_TOLD = ("layer", "name", "combination", "concept", "confirmed", *IOU)
CARDS = 24
"""Associations that get a card, at most."""
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
        overlays: Pictures of where it responds, each with its image; none where no masks are known.
    """

    row: Mapping[str, Any]
    gaining: bool
    images: Mapping[str, list[str]]
    counts: Mapping[str, int]
    rivals: list[dict[str, Any]]
    overlays: list[dict[str, str]]

    def data(self, page: PageImages) -> dict[str, Any]:
        """What the script draws."""
        return {
            "row": {key: finite(value, 4) for key, value in self.row.items()},
            "gaining": self.gaining,
            "images": {kind: page.known(ids) for kind, ids in self.images.items()},
            "counts": dict(self.counts),
            "rivals": self.rivals,
            "overlays": self.overlays,
        }


def to_show(frame: pd.DataFrame) -> pd.DataFrame:
    """The confirmed rows that get a card, in the order of `in_turn`."""
    return in_turn(frame[frame["confirmed"] & frame["phi"].notna()]).head(CARDS)


def cards_of(
    context: Context, found: Associations, drawn: Sequence[Mapping[str, Any]]
) -> list[Card]:
    """The cards of confirmed associations; none if none was confirmed.

    Args:
        context: What is looked at.
        found: The associations.
        drawn: What `overlays_of` gave for them.
    """
    return [_card(context, found, drawn, row) for _, row in to_show(found.frame).iterrows()]


def _card(
    context: Context, found: Associations, drawn: Sequence[Mapping[str, Any]], row: pd.Series
) -> Card:
    from pathlens.analysis.associating.association_examples import association_examples

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
    keys = ("name", "combination", "concept")
    own = [one["images"] for one in drawn if all(one[key] == row[key] for key in keys)]
    return Card(
        {str(key): row[key] for key in row.index},
        bool(row["gain_ci_low"] > 0),
        shown,
        examples.counts,
        _rivals(context, found, row),
        own[0] if own else [],
    )


def overlays_of(context: Context, found: Associations) -> list[dict[str, Any]]:
    """Pictures of where combinations of these associations respond, as far as they were drawn.

    Returns:
        An entry a combination and concept: layer (number), name, combination, concept, confirmed, iou,
        iou_best_single, iou_ceiling, hits (how many images its pictures were drawn from) and images (a
        list of image and picture, a JPEG in base64), in the order in which they were chosen.

    Raises:
        PathLensError: If the file beside the recording is damaged.
    """
    from pathlens.analysis.measured.combinations import overlay_entries

    rows = {
        (row["name"], row["combination"], row["concept"]): row
        for row in found.frame.to_dict("records")
    }
    entries = []
    for one in overlay_entries(context.recording):
        row = rows.get((one["layer"], one["combination"], one["concept"]))
        if row is not None and one["question"] == found.question.id and one["images"]:
            told = {name: finite(row[name], 4) for name in _TOLD}
            entries.append({**told, "hits": one["hits"], "images": one["images"]})
    return entries


def _rivals(context: Context, found: Associations, row: pd.Series) -> list[dict[str, Any]]:
    """What the best combination of every baseline reaches for the same concept and layer."""
    table = found.baselines
    rivals = []
    for name in context.baselines:
        same = table[
            (table["baseline"] == name)
            & (table["layer"] == row["layer"])
            & (table["combination"] == row["combination"])
            & (table["concept"] == row["concept"])
        ]
        told: dict[str, Any] = {"name": name, "combination": ""}
        for one in same.head(1).to_dict("records"):
            told["combination"] = str(one["baseline_combination"])
            told |= {key: finite(one[key], 4) for key in ("phi", "phi_ci_low", "phi_ci_high")}
        rivals.append(told)
    return rivals
