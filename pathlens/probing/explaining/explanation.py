"""The result of explaining one image: its table, its sentence, its figure, its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pathlens.analysis.drawing import figure_bytes
from pathlens.analysis.results import Result, plural
from pathlens.datasets.base import Pixels
from pathlens.detection.giveaways import Giveaways
from pathlens.files import write_bytes, write_json
from pathlens.probing.explaining.beside import Beside
from pathlens.probing.explaining.flips import Flips
from pathlens.probing.explaining.hits import Hits
from pathlens.probing.response_maps import Filter, Maps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNUSUAL = 0.1
"""A gate is unusual if at most this share of the class's recorded images has it as it is."""


@dataclass(frozen=True)
class Explanation(Result):
    """One image's path, what is known of such paths, and what its decision rests on.

    A gate is decided from its layer's input before the filter runs: an image is *routed through* a
    filter, which does not say that the filter detects anything in it.

    Attributes:
        frame: A row a filter of every gated layer: layer, name, filter, on, score (what the gate was
            decided from), rate and class_rate (share of all recorded images, and of those of the
            predicted class, that have it on; NaN without a recording), margin and drop (margin of the
            predicted class without this filter, and by how much that is lower; NaN where it was not
            ablated), becomes (class that the image is then taken for, or ""), flips (whether that is
            another one), in_set (whether it is in the set of `flips`).
        layers: A row a layer: layer, name, filters, on, share, class_on (mean number on in the
            class), percentile (how typical its gates are for the predicted class), unusual (gates
            that at most `UNUSUAL` of the class's images have as they are).
        run: Name of the run.
        image: Id of the image in the recording, else the path of its file.
        picture: What the network saw, uint8 (height, width, 3).
        classes: Class names.
        prediction: Position of the predicted class.
        confidence: Its softmax probability.
        label: Position of the true class; None if unknown.
        macs: Multiply-adds of the path, gating modules included.
        macs_share: The same over those of the plain network.
        flips: What ablations do.
        maps: (layer name, filter) to where it responds, float32 (height, width) of the picture, for
            the filters that weigh most; see `pathlens.probing.response_maps`.
        beside: The path beside those recorded; None without a recording.
        thumbnails: JPEG or PNG bytes of its nearest images; b"" where there is none.
        hits: Confirmed combinations that the path holds; None where there is no table of them.
        left_out: What is missing, and how to get it.
        giveaways: What fitted detectors of altered images say of it; None where there are none.
    """

    frame: pd.DataFrame = field(repr=False)
    layers: pd.DataFrame = field(repr=False)
    run: str
    image: str
    picture: Pixels = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    prediction: int
    confidence: float
    label: int | None
    macs: int
    macs_share: float
    flips: Flips = field(repr=False)
    maps: Mapping[Filter, Maps] = field(repr=False)
    beside: Beside | None = field(repr=False)
    thumbnails: tuple[bytes, ...] = field(repr=False)
    hits: Hits | None = field(repr=False)
    left_out: str
    giveaways: Giveaways | None = field(default=None, repr=False)

    def class_name(self, position: int) -> str:
        """Name of the class at a position; "unknown" for -1."""
        if position < 0:
            return "unknown"
        known = position < len(self.classes)
        return self.classes[position] if known else f"class {position}"

    def filter_name(self, one: Filter) -> str:
        """A filter as sentences call it: "filter 3 of layer 5"."""
        return f"filter {one[1]} of layer {self.number(one[0])}"

    def number(self, name: str) -> int:
        """Number of the layer called `name`."""
        rows = self.layers.loc[self.layers["name"] == name, "layer"]
        return int(rows.iloc[0])

    def summary(self) -> str:
        """Decision, path, how typical it is, and what flips the decision."""
        return " ".join([self.decision(), self.routing(), self.holding()])

    def decision(self) -> str:
        """What the image is taken for."""
        truth = ""
        if self.label is not None:
            right = self.label == self.prediction
            truth = ", rightly" if right else f", wrongly: it is {self.class_name(self.label)}"
        name = self.class_name(self.prediction)
        return f"{self.image} is taken for {name} (confidence {self.confidence:.0%}{truth})."

    def routing(self) -> str:
        """How large the path is, how typical, and whose are near."""
        on, filters = int(self.layers["on"].sum()), int(self.layers["filters"].sum())
        said = f"It is routed through {on:,} of {filters:,} filters ({self.macs_share:.0%} of the "
        said += "plain network's multiply-adds)"
        if self.beside is None:
            return said + "."
        name, near = self.class_name(self.prediction), len(self.beside.neighbours)
        if self.beside.images:
            images = plural(self.beside.images, "recorded image")
            said += f"; its path is more typical than {self.beside.percentile:.0%} of those of {images} "
            said += f"taken for {name}"
        expected = near * self.beside.chance
        return said + (
            f"; of the {near} recorded images with the nearest paths, {self.beside.same} are taken "
            f"for {name} ({expected:.1f} expected by chance)."
        )

    def holding(self) -> str:
        """Which filters the decision rests on."""
        found, tried = self.flips, plural(len(self.flips.singles), "filter")
        if not found.members:
            return "No filter is on, so that none can be ablated."
        alone = int(found.singles["flips"].sum())
        *others, last = [self.filter_name(one) for one in found.members]
        names = f"{', '.join(others)} and {last}" if others else last
        then = self.class_name(found.becomes)
        if len(found.members) == 1 and found.flips:
            said = f"Of {tried} ablated one by one, {alone:,} flip the decision{self._dynamic()}, most "
            said += f"clearly {names} (to {then})"
            if alone == 1:
                said = f"Of {tried} ablated one by one, only {names} flips the decision (to {then})"
        elif found.flips:
            said = f"None of {tried} ablated one by one flips the decision; a greedy search found "
            said += f"{len(found.members)} that do together ({names}; to {then})"
        else:
            said = (
                f"None of {tried} ablated one by one flips the decision, nor does a greedy set of "
            )
            said += f"{len(found.members)} together ({names})"
        return f"{said}; {self.by_chance()}."

    def _dynamic(self) -> str:
        """How many of the filters that flip the decision alone are not on for every image."""
        if self.beside is None:
            return ""
        dynamic = int((self.frame["flips"] & (self.frame["rate"] < 1)).sum())
        return f" ({dynamic:,} of them not on for every recorded image)"

    def by_chance(self) -> str:
        """How other sets of the same size and layers do."""
        found = self.flips
        if not found.others:
            return "its layers have no other filters on to compare with"
        one = len(found.members) == 1
        what = (
            "other filters on in its layer" if one else "other sets of as many in the same layers"
        )
        return f"of {found.others} {what}, {found.others_flip:.0%} do"

    def save(self, folder: str | Path) -> None:
        """Write `explanation.png`, `explanation.svg` and `explanation.json` into a folder.

        Raises:
            PathLensError: If the disk is full or the folder may not be written.
        """
        figure = self.plot()
        for kind in ("png", "svg"):
            write_bytes(Path(folder) / f"explanation.{kind}", figure_bytes(figure, kind))
        write_json(Path(folder) / "explanation.json", self.to_json())

    def text(self) -> str:
        """All there is to read, as lines: sentences, then tables."""
        from pathlens.probing.explaining.text import text_of

        return text_of(self)

    def plot(self) -> Figure:
        """Picture, path, where the filters that weigh most respond, nearest images."""
        from pathlens.probing.explaining.drawing import draw

        return draw(self)

    def to_json(self) -> dict[str, Any]:
        """Everything but pictures, in plain values; None for what is unknown."""
        found, by = self.flips, self.beside
        return {
            "run": self.run,
            "image": self.image,
            "prediction": self.class_name(self.prediction),
            "confidence": round(self.confidence, 6),
            "label": None if self.label is None else self.class_name(self.label),
            "macs": self.macs,
            "macs_share": self.macs_share,
            "summary": self.summary(),
            "left_out": self.left_out,
            "typical": None if by is None else _plain(by.percentile),
            "typical_among": None if by is None else by.images,
            "neighbours": [] if by is None else self._neighbours(by),
            "neighbours_by_chance": None if by is None else _plain(by.chance * len(by.neighbours)),
            "margin": found.margin,
            "set": [{"name": name, "filter": number} for name, number in found.members],
            "set_flips": found.flips,
            "set_becomes": self.class_name(found.becomes),
            "set_drop": found.drop,
            "other_sets": found.others,
            "other_sets_flip": _plain(found.others_flip),
            "other_sets_drop": _plain(found.others_drop),
            "untried": found.untried,
            "layers": _records(self.layers),
            "filters": _records(self.frame),
            "hits": None if self.hits is None else _records(self.hits.frame),
            "concepts": None if self.hits is None else _records(self.hits.concepts),
            "detectors": None if self.giveaways is None else _records(self.giveaways.scores),
            "detector_layers": None if self.giveaways is None else _records(self.giveaways.layers),
        }

    def _neighbours(self, by: Beside) -> list[dict[str, Any]]:
        rows = _records(by.neighbours)
        for row in rows:
            row["label"] = None if row["label"] < 0 else self.class_name(row["label"])
            row["prediction"] = self.class_name(row["prediction"])
        return rows


def _plain(value: Any) -> Any:
    """A value as JSON holds it: NaN, which it does not know, is None."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(key): _plain(value) for key, value in row.items()} for row in frame.to_dict("records")
    ]
