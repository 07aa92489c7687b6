"""Information of single filters: what each gate says about the class, in bits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pathlens.analysis.baselines import OWN, matched
from pathlens.analysis.counts import class_counts
from pathlens.analysis.drawing import INK, class_marks, house_style, new_figure, plain_text
from pathlens.analysis.information.mutual_information import (
    entropy_bits,
    gate_information,
    permutation_p,
    permuted_counts,
)
from pathlens.analysis.results import Result, join_notes, plural
from pathlens.analysis.source import (
    Floats,
    Grouping,
    PathData,
    choose_several,
    grouping,
    require_images,
)
from pathlens.analysis.statistics import holm
from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVEL = 0.05


@dataclass(frozen=True)
class FilterInformation(Result):
    """Mutual information between the gate of each filter and the class.

    Attributes:
        frame: A row a filter and code: layer (number), name, filter, code ("paths" or the name of a
            baseline), rate (share of images with the gate on), information (bits, bias corrected;
            may fall below 0), null_mean and null_95 (mean and 95 % quantile, in bits, under permuted
            labels), p (one-sided), p_corrected (over all dynamic filters of the code).
        by_layer: A row a layer and code: layer, name, code, filters, dynamic (number of filters), mean
            (information of a filter), best (that of the most informative one), best_filter,
            null_mean, null_95 (means over filters), share_significant (of the filters, with p_corrected
            at most 0.05).
        entropy: Entropy of the class in bits, which no gate can exceed (and no gate can exceed 1).
        images: Images of known class.
        by: "label", or "prediction" where true classes are unknown.
        correction: "holm" or "bh".
        left_out: Images that could not be used.
    """

    frame: pd.DataFrame = field(repr=False)
    by_layer: pd.DataFrame
    entropy: float
    images: int
    by: str
    correction: str
    left_out: str

    def summary(self) -> str:
        """The most informative filter, and the mean beside baselines and permuted labels."""
        own = self.frame[self.frame["code"] == OWN]
        best = own.iloc[int(own["information"].argmax())]
        means = self.frame.groupby("code", sort=False)["information"].mean()
        beside = "".join(f", {name} {value:.3f}" for name, value in means.iloc[1:].items())
        return (
            f"Over {plural(self.images, 'image')} a gate tells {means.iloc[0]:.3f} bits of the "
            f"{'class' if self.by == 'label' else 'predicted class'} on average (permuted labels "
            f"{own['null_mean'].mean():.3f}{beside}; the class has {self.entropy:.2f} bits), the most "
            f"filter {best['filter']} of {best['name']} with {best['information']:.2f}; "
            f"{(own['p_corrected'] <= LEVEL).mean():.0%} of the filters tell more than chance "
            f"(corrected p at most {LEVEL})."
        )

    def plot(self) -> Figure:
        """Mean and best information of a gate over depth, each code beside the null."""
        with house_style():
            layers = self.by_layer["layer"].nunique()
            figure = new_figure(min(12.0, 6.4 + 0.16 * layers), 3.2)
            left, right = figure.subplots(1, 2)
            self._lines(left, "mean", "Mean over filters")
            self._lines(right, "best", "Most informative filter")
            handles, names = left.get_legend_handles_labels()
            figure.legend(handles, names, loc="outside right center")
        return figure

    def _lines(self, axes: Axes, column: str, title: str) -> None:
        from matplotlib.ticker import MaxNLocator

        for place, (code, part) in enumerate(self.by_layer.groupby("code", sort=False)):
            colour, marker = class_marks(place)
            name = plain_text(str(code), 24)
            axes.plot(
                part["layer"], part[column], marker, ls="-", ms=4, lw=1.2, color=colour, label=name
            )
        own = self.by_layer[self.by_layer["code"] == OWN]
        axes.plot(
            own["layer"], own["null_95"], ":", color=INK, lw=1.2, label="permuted labels (95 %)"
        )
        axes.set(xlabel="layer, from input to output", ylabel="bits about the class")
        axes.set_ylim(bottom=min(0.0, float(self.by_layer["mean"].min())))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(title)


def filter_information(
    data: PathData,
    layers: Iterable[LayerSpec] | None = None,
    *,
    baselines: Mapping[str, PathData] | None = None,
    permutations: int = 200,
    correction: Literal["holm", "bh"] = "holm",
    seed: int = 0,
) -> FilterInformation:
    """Mutual information between the gate of each filter and the class of the image.

    Plug-in estimate from the table of gate × class with the bias correction of Miller (1955), beside
    permuted labels; p values as in `permutation_p`.

    Args:
        data: A recording.
        layers: Layers by number, name or glob; all for None.
        baselines: Recordings of other codes of the same images, by name.
        permutations: Number of permuted labellings, at least 20.
        correction: "holm" (chance of any false claim, Holm 1979) or "bh" (share of false claims,
            Benjamini & Hochberg 1995).
        seed: Seed of the permutations.

    Raises:
        PathLensError: If a layer is unknown, neither labels nor predictions are known, a baseline does
            not fit, or an argument is out of range.
    """
    require_images(data)
    if permutations < 20:
        raise PathLensError(f"permutations is {permutations}: give at least 20.")
    if correction not in ("holm", "bh"):
        raise PathLensError(f"Unknown correction {correction!r}: give 'holm' or 'bh'.")
    groups = known_classes(data)
    chosen = choose_several(data, layers)
    parts = []
    for code, source in matched(data, baselines).items():
        rng = np.random.default_rng(seed)
        rows = [_layer_rows(source, one, groups, permutations, rng) for one in chosen]
        frame = pd.concat(rows, ignore_index=True)
        frame.insert(3, "code", code)
        parts.append(frame.assign(p_corrected=_corrected(frame, correction)))
    frame = pd.concat(parts, ignore_index=True)
    known = groups.codes >= 0
    return FilterInformation(
        frame=frame,
        by_layer=_by_layer(frame),
        entropy=entropy_bits(np.bincount(groups.codes[known])),
        images=int(known.sum()),
        by=groups.by,
        correction=correction,
        left_out=unknown_classes(groups),
    )


def known_classes(data: PathData) -> Grouping:
    """Classes of the images, by label or else by prediction.

    Raises:
        PathLensError: If neither is known.
    """
    groups = grouping(data)
    if groups is None:
        raise PathLensError(
            "The recording knows neither labels nor predictions, so paths cannot be informative about "
            "a class: record a labelled dataset, or one through a classifier."
        )
    return groups


def unknown_classes(groups: Grouping) -> str:
    """What analyses by class leave out."""
    unknown = int((groups.codes < 0).sum())
    return join_notes(
        [
            "true classes (unknown: the predicted ones stand in)" * (groups.by == "prediction"),
            f"{plural(unknown, 'image')} of unknown class" if unknown else "",
        ]
    )


def _layer_rows(
    data: PathData, layer: Layer, groups: Grouping, permutations: int, rng: np.random.Generator
) -> pd.DataFrame:
    sizes = np.bincount(groups.codes[groups.codes >= 0], minlength=len(groups.names))
    on = class_counts(data, layer, groups.codes[None], len(groups.names))[0]
    total = on.sum(axis=0)
    value, correction = gate_information(on, total, sizes)
    many = np.tile(total, (permutations, 1))
    null, null_correction = gate_information(permuted_counts(many, sizes, rng), many, sizes)
    corrected_null = null + null_correction
    return pd.DataFrame(
        {
            "layer": layer.index,
            "name": layer.name,
            "filter": np.arange(layer.filters),
            "rate": total / sizes.sum(),
            "information": value + correction,
            "null_mean": corrected_null.mean(axis=0),
            "null_95": np.quantile(corrected_null, 0.95, axis=0),
            "p": permutation_p(value, null),
        }
    )


def _corrected(frame: pd.DataFrame, correction: str) -> Floats:
    """Corrected over the dynamic filters: one that is always on or off could not be found at all."""
    from scipy.stats import false_discovery_control

    dynamic = frame["rate"].between(0, 1, inclusive="neither").to_numpy()
    p = frame["p"].to_numpy()
    corrected = np.ones(len(p))
    if dynamic.any():
        corrected[dynamic] = (
            holm(p[dynamic]) if correction == "holm" else false_discovery_control(p[dynamic])
        )
    return corrected


def _by_layer(frame: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (code, layer, name), part in frame.groupby(["code", "layer", "name"], sort=False):
        best = part.iloc[int(part["information"].argmax())]
        rows.append(
            {
                "layer": layer,
                "name": name,
                "code": code,
                "filters": len(part),
                "dynamic": int(part["rate"].between(0, 1, inclusive="neither").sum()),
                "mean": part["information"].mean(),
                "best": best["information"],
                "best_filter": int(best["filter"]),
                "null_mean": part["null_mean"].mean(),
                "null_95": part["null_95"].mean(),
                "share_significant": float((part["p_corrected"] <= LEVEL).mean()),
            }
        )
    return pd.DataFrame(rows)
