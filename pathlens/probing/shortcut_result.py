"""What the search for a shortcut comes to: tables, figure, sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pathlens.analysis.drawing import FAINT, INK, PALETTE, house_style, new_figure, plain_text
from pathlens.analysis.results import Result, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE = "shortcuts.csv"
"""Name of the table that lies beside the recording."""

WORST_GROUP = "worst group"
ALL_IMAGES = "all images"
_MOST_NAMED = 8
KEYS = ("attribute", "of", "effect", "seed")


@dataclass(frozen=True)
class Shortcut(Result):
    """The filters through which a shortcut runs, and what gating them off does.

    Attributes:
        frame: A row a stage ("discovery": images on which the filters were found; "confirmation":
            others) and group ("worst group", "all images", the class and all others with and without
            the attribute): images, own and ablated (accuracy before and after), change, low, high (95 %
            bootstrap interval over images, paired, drawn within groups), controls (number of matched
            random sets; none in discovery), control, control_low, control_high (mean of their changes
            and where 95 % of them lie), p (share of random sets that raise accuracy at least as much,
            (1 + hits) / (1 + controls)); attribute, of (class), effect, filters
            (`layer:filter+filter`, "" if none helped), seed.
        candidates: A row a candidate filter, most strongly associated first: layer (number), name,
            filter, association (partial correlation of the gate with the attribute given the class, on
            discovery images), confirmed (on the others), rate_with and rate_without (on-rates with
            and without the attribute), alone and alone_mean (change of the accuracy of the worst group
            and of all discovery images with it alone gated off), chosen (place in the growth of the
            set, 0 if not in it).
        combinations: Pairs of candidates of a layer, both on: name, filters, association, confirmed.
        attribute: The concept.
        of: The class that it is a shortcut to.
        left_out: What was left out, in words; "" for nothing.
    """

    frame: pd.DataFrame = field(repr=False)
    candidates: pd.DataFrame = field(repr=False)
    combinations: pd.DataFrame = field(repr=False)
    attribute: str
    of: str
    left_out: str = ""

    @staticmethod
    def columns() -> list[str]:
        """The columns of the frame, in their order."""
        return [
            *("attribute", "of", "effect", "filters", "seed", "stage", "group", "images", "own"),
            *("ablated", "change", "low", "high", "controls", "control", "control_low"),
            *("control_high", "p"),
        ]

    def summary(self) -> str:
        """The filters, and what gating them off does to worst group and all images, with intervals."""
        table = self.frame[self.frame["stage"] == "confirmation"]
        worst = table[table["group"] == WORST_GROUP].iloc[0]
        everything = table[table["group"] == ALL_IMAGES].iloc[0]
        if not worst["filters"]:
            return (
                f"No set of the filters that go with '{self.attribute}' helps the worst group "
                f"({worst['own']:.1%} right) when it is gated off."
            )
        beside = "no random set is like it"
        if worst["controls"]:
            beside = (
                f"{plural(int(worst['controls']), 'matched random set')} change it by "
                f"{100 * worst['control']:+.1f} on average (p = {worst['p']:.2g})"
            )
        return (
            f"Gating off {_named(worst['filters'])} changes the worst group's accuracy on "
            f"confirmation images from {worst['own']:.1%} to {worst['ablated']:.1%} "
            f"({_points(worst)}); {beside}. All images: {everything['own']:.1%} to "
            f"{everything['ablated']:.1%} ({_points(everything)})."
        )

    def plot(self) -> Figure:
        """Change of accuracy on confirmation images by group, over the range of the random sets."""
        table = self.frame[self.frame["stage"] == "confirmation"].reset_index(drop=True)
        change, y = 100 * table["change"], list(range(len(table)))
        with house_style():
            figure = new_figure(7.0, 1.4 + 0.42 * len(table))
            axes = figure.add_subplot()
            low, high = 100 * table["control_low"], 100 * table["control_high"]
            axes.hlines(y, low, high, color=FAINT, linewidth=8, label="95 % of matched random sets")
            error = [change - 100 * table["low"], 100 * table["high"] - change]
            axes.errorbar(
                change, y, xerr=error, fmt="o", color=PALETTE[0], label="found filters off"
            )
            axes.axvline(0, color=INK, linewidth=0.8)
            names = [f"{row['group']} ({row['own']:.0%} right)" for _, row in table.iterrows()]
            axes.set_yticks(y, [plain_text(name, 56) for name in names])
            axes.set_ylim(len(table) - 0.5, -0.5)
            axes.set(xlabel="change of accuracy, points")
            axes.set_title(f"Without the filters of '{plain_text(self.attribute)}'")
            figure.legend(loc="outside lower center", ncols=2)
        return figure


def _named(filters: str) -> str:
    """The filters, or how many where they are too many to read."""
    layers = [layer.rpartition(":") for layer in filters.split()]
    count = sum(1 + numbers.count("+") for _, _, numbers in layers)
    if count <= _MOST_NAMED:
        return filters
    return f"{plural(count, 'filter')} of {', '.join(name for name, _, _ in layers)}"


def _points(row: pd.Series) -> str:
    return f"{100 * row['change']:+.1f} points [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
