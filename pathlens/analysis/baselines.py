"""Other codes of the same images, beside which a claim about paths stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pathlens.analysis.source import Bits, Ints, PathData
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec, LayerTable

OWN = "paths"
"""What tables call the codes of the recording itself, beside the names of its baselines."""


@dataclass(frozen=True)
class Matched:
    """A recording seen through the images of another: the same rows in the same order.

    Labels and predictions are those of the other one too, so that both codes are held against the
    same classes.

    Attributes:
        source: Where the bits come from.
        rows: int64 (images,), the position in `source` of each image.
        images: The images of the other recording.
        classes: Its class names.
    """

    source: PathData = field(repr=False)
    rows: Ints = field(repr=False)
    images: pd.DataFrame = field(repr=False)
    classes: tuple[str, ...]

    @property
    def layers(self) -> LayerTable:
        """All layers, in running order."""
        return self.source.layers

    def bits(self, layer: LayerSpec) -> Bits:
        """Codes of one layer: bool (images, filters)."""
        return self.source.bits(layer)[self.rows]

    def concepts(self) -> pd.DataFrame | None:
        """The concept table of the source."""
        return self.source.concepts()


def matched(data: PathData, baselines: Mapping[str, PathData] | None) -> dict[str, PathData]:
    """The codes to compare, by name: `OWN` first, then each baseline on the images of `data`.

    Args:
        data: A recording.
        baselines: Recordings of the same images and layers by the name that tables give them; an
            image that only a baseline has is not looked at.

    Raises:
        PathLensError: If a baseline lacks images or layers of `data`, or is called `OWN`.
    """
    codes: dict[str, PathData] = {OWN: data}
    for name, baseline in (baselines or {}).items():
        if name == OWN:
            raise PathLensError(f"A baseline cannot be called {OWN!r}: give it another name.")
        _require_layers(name, data.layers, baseline.layers)
        codes[name] = Matched(baseline, _positions(name, data, baseline), data.images, data.classes)
    return codes


def _require_layers(name: str, wanted: LayerTable, found: LayerTable) -> None:
    known = {layer.name: layer.filters for layer in found}
    strange = [layer.name for layer in wanted if known.get(layer.name) != layer.filters]
    if strange:
        raise PathLensError(
            f"Baseline {name!r} has no codes for layer {strange[0]} with as many filters: record it "
            "with --rates-from the run that it is to stand beside."
        )


def _positions(name: str, data: PathData, baseline: PathData) -> Ints:
    index = pd.Index(baseline.images["image"])
    rows = index.get_indexer(pd.Index(data.images["image"]))
    missing = int((rows < 0).sum())
    if missing:
        raise PathLensError(
            f"Baseline {name!r} lacks {missing:,} of {len(rows):,} images of the recording: record "
            "it on the same data, split and limit."
        )
    return np.asarray(rows, dtype=np.int64)
