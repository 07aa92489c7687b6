"""Combinations of filters against concepts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pathlens.reporting.encode import finite
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

ROWS = 2000
"""Largest number of associations in the page's table; the CSV has all."""


class AssociationTable(Section["Associations | Gap"]):
    """Which filters images with a concept are routed through, all chosen layers in one family."""

    name = "associations"
    kind = "associations"
    columns: ClassVar[Columns] = {
        "associations": (
            *("layer", "name", "combination", "concept", "n", "support", "lift", "phi"),
            *("precision", "recall", "f1", "phi_ci_low", "phi_ci_high", "p", "p_corrected"),
            *("confirmed", "gain_over_best_single", "gain_ci_low", "gain_ci_high"),
            "phi_discovery",
        ),
    }

    def steps(self, layers: int) -> int:
        """One for all layers."""
        return 1

    def find(self, context: Context) -> Associations | Gap:
        """Search one half of the images, test on the other."""
        from pathlens.analysis import associations

        context.step("associations")
        names = [layer.name for layer in context.layers]
        return attempt(
            lambda: associations(context.recording, names, context.concepts, seed=context.seed)
        )

    def results(self, found: Associations | Gap) -> Iterator[Named]:
        """One result for all layers."""
        yield Named("associations", "associations", found)

    def tables(self, found: Associations | Gap) -> dict[str, pd.DataFrame]:
        """Every association tested."""
        import pandas as pd

        return {"associations": pd.DataFrame() if isinstance(found, Gap) else found.frame}

    def numbers(self, found: Associations | Gap) -> dict[str, Any]:
        """How many associations were tested and confirmed, and what was searched."""
        if isinstance(found, Gap):
            return {"associations": None}
        return {
            "associations": {
                "tested": len(found.frame),
                "confirmed": int(found.frame["confirmed"].sum()),
                "searched": {key: finite(value) for key, value in found.searched.items()},
            }
        }

    def data(self, found: Associations | Gap, page: PageImages) -> dict[str, Any]:
        """The rows of the table, confirmed ones first, then by corrected p and effect."""
        if isinstance(found, Gap):
            return {"gap": found.reason}
        ordered = found.frame.sort_values(
            ["confirmed", "p_corrected", "phi"], ascending=[False, True, False], kind="stable"
        )
        kept = ordered.head(ROWS)
        return {
            "columns": [str(column) for column in kept.columns],
            "rows": [[finite(value, 4) for value in row] for row in kept.itertuples(index=False)],
            "total": len(ordered),
            "summary": found.summary(),
            "left_out": found.left_out,
        }
