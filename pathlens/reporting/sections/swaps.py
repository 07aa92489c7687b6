"""What another path costs, as `pathlens probe` measured it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pathlens.reporting.encode import finite
from pathlens.reporting.sections.base import Columns, Context, Gap, measured
from pathlens.reporting.sections.single import SingleSection

if TYPE_CHECKING:
    from pathlens.analysis.measured.swaps import PathSwaps

_COLUMNS = (
    *("condition", "layer", "images", "accuracy", "lost", "lost_low", "lost_high"),
    "macs_share",
)


class Swaps(SingleSection):
    """Whether the paths matter."""

    name = "swaps"
    kind = "path swaps"
    file = "path_swaps"
    columns: ClassVar[Columns] = {"path_swaps": _COLUMNS}

    def look(self, context: Context) -> PathSwaps | Gap:
        """Read the table beside the recording."""
        from pathlens.analysis.measured.swaps import path_swaps
        from pathlens.recording.beside import PATH_SWAPS

        recording = context.recording
        return measured(recording, PATH_SWAPS, lambda: path_swaps(recording))

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

    def drawn(self, found: PathSwaps) -> dict[str, Any]:
        """The rows, and which layer each scope is."""
        rows = found.frame[list(_COLUMNS)].itertuples(index=False)
        return {
            "columns": list(_COLUMNS),
            "rows": [[finite(value, 5) for value in row] for row in rows],
        }
