"""What another path costs, as `pathlens probe` measured it."""

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

    from pathlens.analysis.measured.swaps import PathSwaps

_COLUMNS = (
    *("condition", "layer", "images", "accuracy", "lost", "lost_low", "lost_high"),
    "macs_share",
)


class Swaps(Section["PathSwaps | Gap"]):
    """Whether the paths matter."""

    name = "swaps"
    kind = "path swaps"
    columns: ClassVar[Columns] = {"path_swaps": _COLUMNS}

    def steps(self, layers: int) -> int:
        """One for the whole."""
        return 1

    def find(self, context: Context) -> PathSwaps | Gap:
        """Read the table beside the recording."""
        from pathlens.analysis.measured.swaps import path_swaps

        context.step("path swaps")
        return attempt(lambda: path_swaps(context.recording))

    def results(self, found: PathSwaps | Gap) -> Iterator[Named]:
        """One result."""
        yield Named("path swaps", "path_swaps", found)

    def tables(self, found: PathSwaps | Gap) -> dict[str, pd.DataFrame]:
        """All conditions."""
        import pandas as pd

        return {"path_swaps": pd.DataFrame() if isinstance(found, Gap) else found.frame}

    def numbers(self, found: PathSwaps | Gap) -> dict[str, Any]:
        """What one static path and the path of another class lose, in shares with intervals."""
        from pathlens.analysis.measured.swaps import OTHER_CLASS, STATIC

        if isinstance(found, Gap):
            return {"swaps": None}
        rows = {"static": found.whole(STATIC), "other_class": found.whole(OTHER_CLASS)}
        return {
            "swaps": {
                name: None
                if row is None
                else {key: finite(row[key]) for key in ("lost", "lost_low", "lost_high", "images")}
                for name, row in rows.items()
            }
        }

    def data(self, found: PathSwaps | Gap, page: PageImages) -> dict[str, Any]:
        """The rows, and which layer each scope is."""
        if isinstance(found, Gap):
            return {"gap": found.reason}
        rows = found.frame[list(_COLUMNS)]
        return {
            "columns": list(_COLUMNS),
            "rows": [[finite(value, 5) for value in row] for row in rows.itertuples(index=False)],
            "summary": found.summary(),
            "left_out": found.left_out,
        }
