"""Maps of the paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pathlens.reporting.encode import finite, packed_shares
from pathlens.reporting.sections.base import Columns, Context, Gap, PageImages, attempt, stacked
from pathlens.reporting.sections.by_layer import ByLayer, LayerSection

if TYPE_CHECKING:
    import pandas as pd

    from pathlens.analysis import PathMap
    from pathlens.layers import Layer


class Maps(LayerSection):
    """Images laid out by their paths."""

    name = "maps"
    kind = "maps"
    one = "map"
    file = "map"
    columns: ClassVar[Columns] = {
        "map": ("layer", "image", "x", "y", "label", "prediction", "copies")
    }

    def look(self, context: Context, layer: Layer) -> Any:
        """The map of the layer."""
        from pathlens.analysis import path_map

        return attempt(
            lambda: path_map(
                context.recording, layer.name, seed=context.seed, max_images=context.images
            )
        )

    def tables(self, found: ByLayer) -> dict[str, pd.DataFrame]:
        """Places of the images."""
        return {"map": stacked(found.items())}

    def images(self, found: ByLayer) -> Iterable[str]:
        """All that are placed."""
        for result in found.values():
            if not isinstance(result, Gap):
                yield from result.frame["image"].astype(str)

    def drawn(self, result: PathMap, page: PageImages) -> dict[str, Any]:
        """Points of the map, both axes scaled alike to 0..1, with the image that stands for each.

        Images of one class that share a path share a place, and one mark stands for all of them.
        """
        frame = result.frame.drop_duplicates(["x", "y", "label", "prediction"])
        xy = frame[["x", "y"]].to_numpy(dtype=float)
        span = float(np.ptp(xy, axis=0).max()) or 1.0
        centred = (xy - (xy.max(axis=0) + xy.min(axis=0)) / 2) / span + 0.5
        return {
            "image": page.known(frame["image"]),
            "xy": packed_shares(centred),
            "copies": [int(copies) for copies in frame["copies"]],
            "unique": int(result.unique_paths),
            "placed": len(result.frame),
            "kept": finite(result.neighbours_kept, 4),
            "chance": finite(result.neighbours_by_chance, 4),
            "left_out": result.left_out,
        }
