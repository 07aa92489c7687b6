"""What paths say about the class, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pathlens.reporting.encode import finite
from pathlens.reporting.sections.base import Columns, Context, Gap, PageImages, attempt
from pathlens.reporting.sections.by_layer import ByLayer, LayerSection

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis.information.path_information import PathInformation
    from pathlens.layers import Layer

TIMES = 2
"""Images looked at, in multiples of those that maps are made from: a classifier needs more."""


class Information(LayerSection):
    """How much of the class a layer's gate vectors tell, beside baselines and shuffled labels."""

    name = "information"
    kind = "information"
    one = "information"
    file = "information"
    columns: ClassVar[Columns] = {
        "information": ("layer", "name", "code", "measure", "value", "low", "high", "null")
    }

    def look(self, context: Context, layer: Layer) -> Any:
        """The measures of one layer."""
        from pathlens.analysis.information.path_information import path_information

        return attempt(
            lambda: path_information(
                context.recording,
                layer.name,
                baselines=context.baselines,
                max_images=TIMES * context.images,
                seed=context.seed,
            )
        )

    def tables(self, found: ByLayer) -> dict[str, pd.DataFrame]:
        """All measures of all layers and codes."""
        import pandas as pd

        frames = [each.frame for each in found.values() if not isinstance(each, Gap)]
        return {"information": pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()}

    def drawn(self, result: PathInformation, page: PageImages) -> dict[str, Any]:
        """The measures, and what the result says."""
        rows = result.frame[["code", "measure", "value", "low", "high", "null"]]
        return {
            "rows": [[finite(value, 4) for value in row] for row in rows.itertuples(index=False)],
            "summary": result.summary(),
            "left_out": result.left_out,
        }
