"""The table of associations: what was claimed, how strongly, and what was searched for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pathlens.analysis.drawing import FAINT, INK, PALETTE, empty_figure, house_style, new_figure
from pathlens.analysis.drawing import plain_text as plain
from pathlens.analysis.results import Result, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = (
    "layer",
    "name",
    "combination",
    "concept",
    "n",
    "support",
    "lift",
    "phi",
    "precision",
    "recall",
    "f1",
    "phi_ci_low",
    "phi_ci_high",
    "p",
    "p_corrected",
    "confirmed",
    "gain_over_best_single",
    "gain_ci_low",
    "gain_ci_high",
    "phi_discovery",
)
ROWS_DRAWN = 16


@dataclass(frozen=True)
class Associations(Result):
    """Combinations found on the discovery half of the images, tested on the confirmation half.

    Attributes:
        frame: A row a combination and concept, by layer, then p. All columns but phi_discovery are
            from confirmation images: layer, name, combination (filters joined by "+"), concept, n
            (images), support (images for which all its filters are on), lift, phi, precision (share
            of those images that have the concept), recall, f1, phi_ci_low and phi_ci_high (95 %
            bootstrap over images), p (one-sided Fisher exact test), p_corrected (Holm over all rows),
            confirmed, gain_over_best_single (phi less that of the layer's single filter that was
            best on discovery images; empty for single filters) with gain_ci_low and gain_ci_high,
            phi_discovery.
        searched: Counts: layers, filters (dynamic ones), candidates (combinations times concepts
            tried), concepts, tested (rows), discovery and confirmation (images).
        within_class: Concepts that are functions of the class. They are tested over images, though
            they have only as many independent samples as there are classes.
        level: The level that corrected p values must not exceed.
        left_out: Concepts, layers and images that were not searched.
    """

    frame: pd.DataFrame = field(repr=False)
    searched: dict[str, int]
    within_class: tuple[str, ...]
    level: float
    left_out: str

    @property
    def confirmed(self) -> pd.DataFrame:
        """The rows of `frame` that hold up."""
        return self.frame[self.frame["confirmed"]]

    def summary(self) -> str:
        """What was tried, how much held up, and the strongest association."""
        count = self.searched
        if self.frame.empty:
            return (
                f"No association could be tested: {plural(count['concepts'], 'concept')} and "
                f"{plural(count['filters'], 'dynamic filter')} in "
                f"{plural(count['layers'], 'layer')} gave no candidate on "
                f"{plural(count['discovery'], 'discovery image')}."
            )
        return (
            f"Of {count['candidates']:,} candidates in {plural(count['layers'], 'layer')}, tried on "
            f"{plural(count['discovery'], 'discovery image')}, the best {count['tested']:,} were "
            f"tested on {plural(count['confirmation'], 'other image')}, and "
            f"{len(self.confirmed):,} hold up (one-sided Fisher exact test, Holm over all, level "
            f"{self.level:g}). {self._strongest()}{self._caveat()}"
        )

    def _strongest(self) -> str:
        held = self.confirmed
        if held.empty:
            return "Nothing may be claimed."
        best = held.iloc[int(held["phi"].argmax())].to_dict()
        pairs = held[held["combination"].str.contains("+", regex=False)]
        gaining = int((pairs["gain_ci_low"] > 0).sum())
        said = f"Strongest: images with {best['concept']} are routed through {_route(best)} (phi "
        said += f"{best['phi']:.2f}{_interval(best)})."
        if len(pairs):
            said += (
                f" {gaining:,} of {plural(len(pairs), 'confirmed pair')} say more than their layer's "
                "best single filter (interval of the gain above 0)."
            )
        return said

    def _caveat(self) -> str:
        if not self.within_class:
            return ""
        names = ", ".join(self.within_class[:5]) + (", ..." if len(self.within_class) > 5 else "")
        return (
            f" {plural(len(self.within_class), 'concept is', 'concepts are')} the same for all images "
            f"of a class ({names}): tested over images, they say no more than classes do."
        )

    def plot(self) -> Figure:
        """Phi of the best row of each concept, beside its interval, the search, a single filter."""
        if self.frame.empty:
            return empty_figure("Associations", self.summary())
        held = self.confirmed
        ranked = (held if len(held) else self.frame).sort_values(
            "phi", ascending=False, kind="stable"
        )
        drawn = ranked.drop_duplicates("concept").head(ROWS_DRAWN)
        with house_style():
            figure = new_figure(8.4, 1.7 + 0.27 * len(drawn))
            axes = figure.add_subplot()
            _draw_rows(axes, drawn, PALETTE[0] if len(held) else PALETTE[-1])
            title = f"Best of {plural(len(held), 'confirmed association')}, concept by concept"
            axes.set_title(title if len(held) else "Nothing is confirmed; the best tries")
            figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return figure


def _draw_rows(axes: Axes, drawn: pd.DataFrame, colour: str) -> None:
    places = np.arange(len(drawn))
    axes.axvline(0, color=FAINT, linewidth=1)
    axes.hlines(places, drawn["phi_ci_low"], drawn["phi_ci_high"], color=colour, linewidth=2)
    axes.plot(drawn["phi"], places, "o", color=colour, label="confirmation images, 95 % interval")
    hollow: dict[str, Any] = {
        "markerfacecolor": "none",
        "markeredgecolor": INK,
        "linestyle": "none",
    }
    promised = drawn["phi_discovery"]
    axes.plot(promised, places, marker="d", markersize=5, label="discovery images", **hollow)
    single = drawn["phi"] - drawn["gain_over_best_single"]
    axes.plot(single, places, marker="|", markersize=9, label="best single filter alone", **hollow)
    labels = [
        f"{plain(row['concept'], 30)}  ·  layer {row['layer']}, {_filters(row['combination'])}"
        for row in drawn.to_dict("records")
    ]
    axes.set_yticks(places, labels)
    axes.set(ylim=(len(drawn) - 0.4, -0.6), xlabel="phi: agreement of combination and concept")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _filters(combination: str) -> str:
    return ("filters " if "+" in combination else "filter ") + combination


def _route(row: Mapping[Any, Any]) -> str:
    return f"{_filters(row['combination'])} of layer {row['layer']} ({row['name']})"


def _interval(row: Mapping[Any, Any]) -> str:
    if np.isnan(row["phi_ci_low"]):
        return ""
    return f", 95 % interval {row['phi_ci_low']:.2f} to {row['phi_ci_high']:.2f}"
