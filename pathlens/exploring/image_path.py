"""One image's gates in one layer, beside those of its class."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pathlens.analysis.source import Bits, Floats, PathData, grouping
from pathlens.exploring.layer_facts import LayerFacts


@dataclass(frozen=True)
class ImagePath:
    """The gate vector of one image in one layer.

    Attributes:
        position: Row of the image in the recording.
        image: Its id.
        facts: What is known of it besides, as the recording names it: label and prediction (class
            names), confidence, and what else there is.
        group: Class that it is held against; "" if unknown.
        gates: bool (filters,).
        expected: float64 (filters,), share of the images of that class (of all images where it is
            unknown) that have the gate on, the image itself counted in.
        thumbnail: JPEG or PNG bytes; b"" where there is none.
    """

    position: int
    image: str
    facts: dict[str, str] = field(repr=False)
    group: str
    gates: Bits = field(repr=False)
    expected: Floats = field(repr=False)
    thumbnail: bytes = field(repr=False)

    def unusual(self, count: int) -> list[int]:
        """Numbers of the filters whose gates are least like the class's, the least like first."""
        as_it_is = np.where(self.gates, self.expected, 1 - self.expected)
        order = np.argsort(as_it_is, kind="stable")[:count]
        return [int(number) for number in order if as_it_is[number] < 0.5]


def image_path(data: PathData, facts: LayerFacts, position: int) -> ImagePath:
    """The gates of the image at a position, in the layer of `facts`."""
    row = data.images.iloc[position]
    groups = grouping(data)
    code = -1 if groups is None else int(groups.codes[position])
    group = "" if groups is None or code < 0 else groups.names[code]
    expected = facts.frame["rate"].to_numpy()
    if group:
        expected = facts.class_rates[:, facts.classes.index(group)]
    read = getattr(data, "thumbnails", None)
    return ImagePath(
        position=position,
        image=str(row["image"]),
        facts=_about(row, data.classes),
        group=group,
        gates=data.bits(facts.layer.name)[position],
        expected=expected,
        thumbnail=b"" if read is None else read([position])[0],
    )


def _about(row: pd.Series, classes: tuple[str, ...]) -> dict[str, str]:
    said = {}
    for name, value in row.drop("image").items():
        if pd.isna(value):
            continue
        text = str(value)
        if name in ("label", "prediction"):
            number = int(value)
            text = classes[number] if 0 <= number < len(classes) else f"class {number}"
            text = "unknown" if number < 0 else text
        elif isinstance(value, float | np.floating):
            text = f"{value:.3g}"
        elif isinstance(value, int | np.integer):
            text = f"{value:,}"
        said[str(name)] = text
    return said
