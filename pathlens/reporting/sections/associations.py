"""Combinations of filters against concepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pathlens.analysis.associating.association_table import COLUMNS
from pathlens.analysis.associating.code_baselines import COLUMNS as BASELINE_COLUMNS
from pathlens.analysis.associating.measurements import ABLATION, IOU
from pathlens.errors import PathLensError
from pathlens.reporting.encode import finite
from pathlens.reporting.sections.association_card import Card, cards_of, overlays_of
from pathlens.reporting.sections.base import (
    Columns,
    Context,
    Gap,
    Named,
    PageImages,
    Section,
    attempt,
)

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import Associations

_DRAWN = (
    *("layer", "name", "combination", "concept", "n", "support", "lift", "phi", "precision"),
    *("recall", "phi_ci_low", "phi_ci_high", "p_corrected", "confirmed", "beyond_class"),
    *("gain_over_best_single", "gain_ci_low", "gain_ci_high"),
    *IOU,
    *("iou_ci_low", "iou_ci_high"),
    *ABLATION,
    *("ablation_effect_ci_low", "ablation_effect_ci_high"),
    *("ablation_effect_random_low", "ablation_effect_random_high"),
)
"""Columns of the page's table."""
_HOW_TO_MEASURE = {
    "iou": ("how response maps fit masks", "--masks FOLDER --classes FILE"),
    "ablation_effect": ("what forcing a combination off changes", "--ablate"),
}
ROWS = 2000
"""Largest number of associations in the page's table; the CSV has all."""


@dataclass(frozen=True)
class AssociationFindings:
    """All associations, the cards of the first screen, and pictures of some."""

    table: Associations | Gap
    cards: list[Card]
    overlays: list[dict[str, Any]]


class AssociationTable(Section[AssociationFindings]):
    """Which filters images with a concept are routed through, all chosen layers in one family."""

    name = "associations"
    kind = "associations"
    columns: ClassVar[Columns] = {
        "associations": tuple(COLUMNS),
        "association_baselines": tuple(BASELINE_COLUMNS),
    }

    def steps(self, layers: int) -> int:
        """One for all layers."""
        return 1

    def find(self, context: Context) -> AssociationFindings:
        """Search one half of the images, test on the other."""
        from pathlens.analysis import associations

        context.step("associations")
        names = [layer.name for layer in context.layers]
        found = attempt(
            lambda: associations(
                context.recording,
                names,
                context.concepts,
                seed=context.seed,
                baselines=context.baselines,
            )
        )
        if isinstance(found, Gap):
            return AssociationFindings(found, [], [])
        found, drawn = _measured(context, _counted(context, found))
        cards = attempt(lambda: cards_of(context, found, drawn))
        return AssociationFindings(found, [] if isinstance(cards, Gap) else cards, drawn)

    def results(self, found: AssociationFindings) -> Iterator[Named]:
        """One result for all layers."""
        yield Named("associations", "associations", found.table)

    def tables(self, found: AssociationFindings) -> dict[str, pd.DataFrame]:
        """Every association tested, and what baselines reach beside each."""
        import pandas as pd

        table = found.table
        if isinstance(table, Gap):
            return {"associations": pd.DataFrame(), "association_baselines": pd.DataFrame()}
        return {"associations": table.frame, "association_baselines": table.baselines}

    def images(self, found: AssociationFindings) -> Iterable[str]:
        """Those of the cards."""
        for card in found.cards:
            for ids in card.images.values():
                yield from ids

    def numbers(self, found: AssociationFindings) -> dict[str, Any]:
        """How many associations were tested and confirmed, and what was searched."""
        table = found.table
        if isinstance(table, Gap):
            return {"associations": None}
        return {
            "associations": {
                "tested": len(table.frame),
                "confirmed": int(table.frame["confirmed"].sum()),
                "with_iou": int(table.frame["iou"].notna().sum()),
                "with_ablation": int(table.frame["ablation_effect"].notna().sum()),
                "searched": {key: finite(value) for key, value in table.searched.items()},
            }
        }

    def data(self, found: AssociationFindings, page: PageImages) -> dict[str, Any]:
        """The rows of the table, confirmed ones first, then by corrected p and effect."""
        table = found.table
        if isinstance(table, Gap):
            return {"gap": table.reason}
        ordered = table.frame.sort_values(
            ["confirmed", "p_corrected", "phi"], ascending=[False, True, False], kind="stable"
        )
        kept = ordered.head(ROWS)[list(_DRAWN)]
        return {
            "columns": [str(column) for column in kept.columns],
            "rows": [[finite(value, 4) for value in row] for row in kept.itertuples(index=False)],
            "cards": [card.data(page) for card in found.cards],
            "overlays": _one_a_concept(found.overlays),
            "unmeasured": _unmeasured(table),
            "total": len(ordered),
            "confirmed": len(table.confirmed),
            "summary": table.summary(),
            "left_out": table.left_out,
        }


def _one_a_concept(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pictures beside the table: the first combination of every concept; cards have the rest."""
    first: dict[str, dict[str, Any]] = {}
    for one in drawn:
        first.setdefault(one["concept"], one)
    return list(first.values())


def _measured(context: Context, found: Associations) -> tuple[Associations, list[dict[str, Any]]]:
    """With what was measured of them, and pictures; a damaged file beside the recording is told."""
    from pathlens.analysis.measured.combinations import with_measured
    from pathlens.analysis.results import join_notes

    notes, drawn = [found.left_out], []
    try:
        found = with_measured(context.recording, found)
    except PathLensError as error:
        notes.append(f"what masks and ablation say ({str(error).rstrip('.')})")
    try:
        drawn = overlays_of(context, found)
    except PathLensError as error:
        notes.append(f"where combinations respond ({str(error).rstrip('.')})")
    return replace(found, left_out=join_notes(notes)), drawn


def _unmeasured(found: Associations) -> str:
    """What was not measured of any association, and how to; "" where nothing is missing."""
    held = found.confirmed
    missing = [column for column in _HOW_TO_MEASURE if held[column].isna().all()]
    if held.empty or not missing:
        return ""
    words, options = zip(*(_HOW_TO_MEASURE[column] for column in missing), strict=True)
    return (
        f"Not measured: {' and '.join(words)}. Run “pathlens associate RECORDING "
        f"{' '.join(options)}” with the --concepts, --layer and --seed of this report, where the "
        "network and its images are, and make the report again."
    )


def _counted(context: Context, found: Associations) -> Associations:
    """With the number of questions that these confirmation images have answered.

    Where nothing can be written beside the recording, the page is made all the same and says so.
    """
    from pathlens.analysis.associating.ledger import note_use
    from pathlens.analysis.results import join_notes

    try:
        return replace(found, uses=note_use(context.recording, found.question))
    except PathLensError:
        note = "the count of earlier reports on these images (it could not be kept beside the recording)"
        return replace(found, left_out=join_notes([found.left_out, note]))
