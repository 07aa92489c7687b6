"""Information of whole paths: what the gates of a layer, or of all, say together about the class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.analysis.baselines import OWN, matched
from pathlens.analysis.drawing import empty_figure
from pathlens.analysis.information.filter_information import known_classes, unknown_classes
from pathlens.analysis.information.path_measures import (
    BEYOND_COUNT,
    BOUND,
    INTER,
    INTRA,
    NEAREST,
    NEIGHBOURS,
    Images,
    path_measures,
    probe_measures,
)
from pathlens.analysis.results import Result, join_notes, plural
from pathlens.analysis.source import (
    Grouping,
    Ints,
    PathData,
    choose_layers,
    choose_several,
    describe_layers,
    require_images,
    sample_rows,
)
from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerSpec
from pathlens.progress import progress_bar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CEILING = "linear probe of pooled input"
"""What tables call the linear probe of what a layer's gating module sees, beside the codes."""

Ceiling = Mapping[str, npt.NDArray[np.generic]]

COLUMNS = ["layer", "name", "code", "measure", "value", "low", "high", "null"]
_RESAMPLES = 400


@dataclass(frozen=True)
class PathInformation(Result):
    """What paths say about the class of their image, layer by layer or of several layers together.

    Attributes:
        frame: A row a layer, code and measure: layer (number; 0 for several together), name, code
            ("paths", the name of a baseline, or "linear probe of pooled input"), measure, value, low and
            high (95 % bootstrap interval over images), null (mean under permuted labels).
            Measures: "bound" (lower bound in bits on the information of the whole path about the
            class; one below 0 says nothing), "bound from gates on" (the same from the number of
            gates on in each layer and its square alone), "bound beyond gates on" (the difference),
            "linear accuracy" (of the classifier behind the bound, on images it was not fitted to), "kNN
            accuracy" (vote of the 15 nearest other paths), "intra-class Hamming", "inter-class Hamming"
            (mean distance of all pairs, in shares of the dynamic filters), "inter / intra Hamming",
            "unique paths" (number). Empty where all images are of one class.
        entropy: Entropy of the class in bits, which no bound exceeds.
        images: Images looked at.
        by: "label", or "prediction" where true classes are unknown.
        title: The layers, in words.
        left_out: Images that were not looked at, ceilings that are missing.
    """

    frame: pd.DataFrame
    entropy: float
    images: int
    by: str
    title: str
    left_out: str

    def summary(self) -> str:
        """The bound of the best layer with its interval, null, baselines and ceiling."""
        if self.frame.empty:
            return f"All images of {self.title} are of one class: there is nothing to be told."
        bounds = self.frame[self.frame["measure"] == BOUND]
        own = bounds[bounds["code"] == OWN]
        best = own.iloc[int(own["value"].argmax())]
        here = self.frame[(self.frame["layer"] == best["layer"]) & (self.frame["code"] == OWN)]
        value = here.set_index("measure")["value"]
        among = f" (the most of {len(own)} layers)" if len(own) > 1 else ""
        others = bounds[(bounds["layer"] == best["layer"]) & (bounds["code"] != OWN)]
        beside = "".join(f", {x.code} {x.value:.2f}" for x in others.itertuples())
        return (
            f"The paths of {plural(self.images, 'image')} in {best['name']}{among} tell at least "
            f"{best['value']:.2f} bits ({best['low']:.2f} to {best['high']:.2f}) of the "
            f"{self.entropy:.2f} of the {'class' if self.by == 'label' else 'predicted class'}; "
            f"permuted labels {best['null']:.2f}{beside}. {value[BEYOND_COUNT]:.2f} bits go beyond the "
            f"number of gates that are on; the {NEIGHBOURS} nearest paths name the class of "
            f"{value[NEAREST]:.0%} of the images; two images of one class differ in "
            f"{value[INTRA]:.1%} of the dynamic filters, of two classes in {value[INTER]:.1%}."
        )

    def plot(self) -> Figure:
        """Bound, kNN accuracy and ratio of distances, each code beside the null."""
        title = f"Information of paths in {self.title}"
        if self.frame.empty:
            return empty_figure(title, self.summary())
        from pathlens.analysis.information.information_drawing import draw_information

        return draw_information(self.frame, self.entropy, title)


def path_information(
    data: PathData,
    layer: LayerSpec | None = None,
    *,
    baselines: Mapping[str, PathData] | None = None,
    ceiling: Ceiling | None = None,
    folds: int = 5,
    permutations: int = 3,
    max_images: int = 20_000,
    seed: int = 0,
) -> PathInformation:
    """What the path says about the class, in one layer or in several side by side.

    A plug-in estimate would saturate, as most paths are unique. I(class; path) >= H(class) + E log2
    q(class | path) holds for any q (Barber & Agakov 2003); here q is a linear classifier of the hard
    bits that never saw the image (see `linear_probe.held_out`).

    Args:
        data: A recording.
        layer: Number, name or glob; None for the whole network.
        baselines: Recordings of other codes of the same images, by name.
        ceiling: By the name of a layer, its pooled input: (images of the recording, features). A linear
            probe of it stands beside the codes as what could be had.
        folds: Parts; each is predicted by a classifier fitted to the others.
        permutations: Number of permuted labellings behind the null.
        max_images: Images looked at, at most.
        seed: Divides, permutes, resamples and samples the images.

    Raises:
        PathLensError: If a layer is unknown, neither labels nor predictions are known, a baseline or
            ceiling does not fit, or an argument is out of range.
    """
    layers = choose_layers(data, layer)
    title = describe_layers(data, layers)
    options = _Options(folds, permutations, max_images, seed, progress=False)
    return _measure(data, [layers], title, baselines, ceiling, options)


def information_over_depth(
    data: PathData,
    layers: Iterable[LayerSpec] | None = None,
    *,
    baselines: Mapping[str, PathData] | None = None,
    ceiling: Ceiling | None = None,
    folds: int = 5,
    permutations: int = 3,
    max_images: int = 20_000,
    seed: int = 0,
    progress: bool = True,
) -> PathInformation:
    """`path_information` of several layers, one by one, in one result.

    Args:
        data: A recording.
        layers: Layers by number, name or glob; all for None.
        baselines: As for `path_information`.
        ceiling: As for `path_information`.
        folds: As for `path_information`.
        permutations: As for `path_information`.
        max_images: As for `path_information`.
        seed: As for `path_information`.
        progress: Show a progress bar.

    Raises:
        PathLensError: As `path_information`.
    """
    chosen = choose_several(data, layers)
    title = describe_layers(data, chosen)
    options = _Options(folds, permutations, max_images, seed, progress)
    return _measure(data, [[one] for one in chosen], title, baselines, ceiling, options)


@dataclass(frozen=True)
class _Options:
    folds: int
    permutations: int
    max_images: int
    seed: int
    progress: bool

    def require(self) -> None:
        if self.folds < 2:
            raise PathLensError(f"folds is {self.folds}: give at least 2.")
        if self.permutations < 1:
            raise PathLensError(f"permutations is {self.permutations}: give at least 1.")


def _measure(
    data: PathData,
    groups_of_layers: Sequence[Sequence[Layer]],
    title: str,
    baselines: Mapping[str, PathData] | None,
    ceiling: Ceiling | None,
    options: _Options,
) -> PathInformation:
    require_images(data)
    options.require()
    groups = known_classes(data)
    rows, unseen = _rows(groups, options)
    labels = groups.codes[rows]
    notes = [unseen, unknown_classes(groups)]
    codes = matched(data, baselines)
    probes = _checked(data, ceiling)
    frame, entropy = pd.DataFrame(columns=COLUMNS), 0.0
    if len(np.unique(labels)) > 1:
        images = Images.draw(labels, options.folds, options.permutations, _RESAMPLES, options.seed)
        bar = progress_bar(
            groups_of_layers, desc="information", shown=options.progress, unit="layer"
        )
        found = [
            row for layers in bar for row in _rows_of(layers, title, codes, probes, rows, images)
        ]
        frame, entropy = pd.DataFrame(found, columns=COLUMNS), images.entropy
        notes.append(_missing_ceilings(groups_of_layers, probes))
    return PathInformation(frame, entropy, len(rows), groups.by, title, join_notes(notes))


def _rows(groups: Grouping, options: _Options) -> tuple[Ints, str]:
    known = np.flatnonzero(groups.codes >= 0)
    chosen, unseen = sample_rows(len(known), options.max_images, options.seed)
    return known[chosen], unseen


def _checked(data: PathData, ceiling: Ceiling | None) -> dict[str, npt.NDArray[np.generic]]:
    """Pooled inputs by the full name of their layer."""
    checked = {}
    for name, values in (ceiling or {}).items():
        if values.ndim != 2 or len(values) != len(data.images):
            raise PathLensError(
                f"The ceiling of layer {name} has shape {values.shape}: give a table with one row for "
                f"each of the {len(data.images):,} images of the recording, in their order."
            )
        checked[data.layers.find(name).name] = values
    return checked


def _rows_of(
    layers: Sequence[Layer],
    title: str,
    codes: Mapping[str, PathData],
    probes: Ceiling,
    rows: Ints,
    images: Images,
) -> list[dict[str, Any]]:
    """Rows of the frame for one layer, or for several taken together."""
    found = {
        code: path_measures(images, [source.bits(one.name)[rows] for one in layers])
        for code, source in codes.items()
    }
    if all(one.name in probes for one in layers):
        inputs = np.concatenate([probes[one.name][rows] for one in layers], axis=1)
        found[CEILING] = probe_measures(images, inputs)
    alone = len(layers) == 1
    where = {
        "layer": layers[0].index if alone else 0,
        "name": layers[0].name if alone else title,
    }
    return [
        {**where, "code": code, "measure": name, **asdict(measured)}
        for code, by_name in found.items()
        for name, measured in by_name.items()
    ]


def _missing_ceilings(groups_of_layers: Sequence[Sequence[Layer]], probes: Ceiling) -> str:
    names = [one.name for layers in groups_of_layers for one in layers]
    missing = sum(name not in probes for name in names)
    if not missing:
        return ""
    some = f" for {missing} of {len(names)} layers" if missing < len(names) else ""
    return f"{CEILING}{some} (not given)"
