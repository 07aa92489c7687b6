"""What forcing filters off does, as `pathlens probe` measured it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pathlens.reporting.encode import finite
from pathlens.reporting.sections.base import Columns, Context, Gap, measured
from pathlens.reporting.sections.single import SingleSection

if TYPE_CHECKING:
    from pathlens.analysis.measured.ablations import Ablations

_DRAWN = (
    *("set", "filters", "size", "mode", "effect", "class", "images", "measure", "change", "low"),
    *("high", "controls", "control", "control_low", "control_high", "p"),
)
_MEASURES = ("accuracy", "logit_true")
"""Measures that the page draws; the table has all."""


class Ablated(SingleSection):
    """Sets of filters forced off, beside matched random sets."""

    name = "ablations"
    kind = "ablations"
    file = "ablations"
    columns: ClassVar[Columns] = {
        "ablations": (
            *("set", "filters", "size", "mode", "effect", "subset", "seed", "class_index"),
            *("class", "images", "measure", "own", "ablated", "change", "low", "high"),
            *("controls", "control", "control_low", "control_high", "p", "rate", "norm"),
            *("control_rate", "control_norm"),
        )
    }

    def look(self, context: Context) -> Ablations | Gap:
        """Read the table beside the recording."""
        from pathlens.analysis.measured.ablations import ablations
        from pathlens.recording.beside import ABLATIONS

        recording = context.recording
        return measured(recording, ABLATIONS, lambda: ablations(recording))

    def drawn(self, found: Ablations) -> dict[str, Any]:
        """Of every set its effect on all images; of a class's signature that on the class, too."""
        table = found.frame[found.frame["measure"].isin(_MEASURES)]
        own = [
            str(name) == f"signature of {owner}"
            for name, owner in zip(table["set"], table["class"], strict=True)
        ]
        whole = (table["class_index"] < 0).to_numpy()
        kept = table[whole | np.array(own, dtype=bool)]
        rows = kept[list(_DRAWN)].itertuples(index=False)
        return {
            "columns": list(_DRAWN),
            "rows": [[finite(value, 4) for value in row] for row in rows],
        }
