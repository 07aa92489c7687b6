"""What forcing filters off does, as `pathlens probe` measured it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

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

    from pathlens.analysis.measured.ablations import Ablations

_DRAWN = (
    *("set", "filters", "size", "mode", "effect", "class", "images", "measure", "change", "low"),
    *("high", "controls", "control", "control_low", "control_high", "p"),
)
_MEASURES = ("accuracy", "logit_true")
"""Measures that the page draws; the table has all."""


class Ablated(Section["Ablations | Gap"]):
    """Sets of filters forced off, beside matched random sets."""

    name = "ablations"
    kind = "ablations"
    columns: ClassVar[Columns] = {
        "ablations": (
            *("set", "filters", "size", "mode", "effect", "subset", "seed", "class_index"),
            *("class", "images", "measure", "own", "ablated", "change", "low", "high"),
            *("controls", "control", "control_low", "control_high", "p", "rate", "norm"),
            *("control_rate", "control_norm"),
        )
    }

    def steps(self, layers: int) -> int:
        """One for the whole."""
        return 1

    def find(self, context: Context) -> Ablations | Gap:
        """Read the table beside the recording."""
        from pathlens.analysis.measured.ablations import ablations

        context.step("ablations")
        return attempt(lambda: ablations(context.recording))

    def results(self, found: Ablations | Gap) -> Iterator[Named]:
        """One result."""
        yield Named("ablations", "ablations", found)

    def tables(self, found: Ablations | Gap) -> dict[str, pd.DataFrame]:
        """All sets, effects, classes and measures."""
        import pandas as pd

        return {"ablations": pd.DataFrame() if isinstance(found, Gap) else found.frame}

    def data(self, found: Ablations | Gap, page: PageImages) -> dict[str, Any]:
        """Of every set its effect on all images; of a class's signature that on the class, too."""
        if isinstance(found, Gap):
            return {"gap": found.reason}
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
            "summary": found.summary(),
            "left_out": found.left_out,
        }
