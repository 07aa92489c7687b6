"""What ablations come to: table, figure, sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pathlens.analysis.drawing import FAINT, INK, PALETTE, house_style, new_figure, plain_text
from pathlens.analysis.results import Result, plural
from pathlens.errors import PathLensError
from pathlens.recording.beside import ABLATIONS, read_beside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pathlens.recording import Recording

ALL_IMAGES = "all images"
MEASURES = ("logit_true", "logit_predicted", "accuracy", "flipped")

KEYS = ("set", "filters", "mode", "effect", "subset", "seed")
"""What a row of the table is about; the classes and measures of one ablation stay together."""

_TITLES = {"accuracy": "Change of accuracy, points", "logit_true": "Change of the true logit"}
_MOST_SETS = 20


@dataclass(frozen=True)
class Ablations(Result):
    """What ablated sets of filters do, beside matched random sets.

    Attributes:
        frame: A row a set, effect, class and measure. What was done: set (name), filters
            (`layer:filter+filter`, layers apart by spaces), size (number of filters), mode, effect,
            subset (number of images of the measurement), seed. Where: class_index (true class; -1: all
            images), class (its name, or "all images"), images (number of them). What came of it: measure
            ("logit_true", "logit_predicted": score of the true class, and of the class predicted on the
            own path, before the softmax; "accuracy": share of images that are right; "flipped": share
            whose prediction changes), own and ablated (its mean before and after), change (after less
            before), low and high (95 % bootstrap interval over images, paired). Beside it: controls
            (number of random sets), control, control_low, control_high (mean of their changes, and
            where 95 % of them lie), p (share of random sets with at least as large a change in either
            direction, (1 + hits) / (1 + controls)); rate, norm, control_rate, control_norm (mean on-rate
            and contribution norm of the filters, and of those of the random sets).
        left_out: What was left out, in words; "" for nothing.
    """

    frame: pd.DataFrame = field(repr=False)
    left_out: str = ""

    @staticmethod
    def columns() -> list[str]:
        """The columns of the frame, in their order."""
        return [
            *("set", "filters", "size", "mode", "effect", "subset", "seed"),
            *("class_index", "class", "images", "measure", "own", "ablated"),
            *("change", "low", "high", "controls", "control", "control_low", "control_high", "p"),
            *("rate", "norm", "control_rate", "control_norm"),
        ]

    def summary(self) -> str:
        """What the ablation that costs most does to accuracy, and its random sets."""
        table = self.frame[(self.frame["class_index"] < 0) & (self.frame["measure"] == "accuracy")]
        row = table.iloc[int(table["change"].abs().to_numpy().argmax())]
        beside = "no random set is like it"
        if row["controls"]:
            beside = (
                f"{plural(int(row['controls']), 'matched random set')} change it by "
                f"{100 * row['control']:+.1f} on average (p = {row['p']:.2g})"
            )
        sets, size = plural(table["set"].nunique(), "set"), plural(int(row["size"]), "filter")
        return (
            f"Of {sets} of filters forced {_forced(row['mode'])} on "
            f"{plural(int(row['images']), 'image')}, '{row['set']}' ({size}) changes accuracy most, "
            f"by {100 * row['change']:+.1f} points [{100 * row['low']:.1f}, {100 * row['high']:.1f}] "
            f"({row['effect']} effect); {beside}."
        )

    def plot(self) -> Figure:
        """Changes with their intervals over the ranges of the random sets, all images, by set."""
        table = self.frame[self.frame["class_index"] < 0]
        names = list(dict.fromkeys(table["set"]))[:_MOST_SETS]
        with house_style():
            figure = new_figure(9.0, 1.5 + 0.45 * len(names))
            left, right = figure.subplots(1, 2, sharey=True)
            self._draw(left, table, "accuracy", names, 100)
            self._draw(right, table, "logit_true", names, 1)
            left.set_yticks(range(len(names)), [plain_text(name) for name in names])
            left.set_ylim(len(names) - 0.5, -0.5)
            handles, labels = left.get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
        return figure

    def _draw(
        self, axes: Axes, table: pd.DataFrame, measure: str, names: list[str], unit: float
    ) -> None:
        measured = table[table["measure"] == measure]
        effects = list(dict.fromkeys(measured["effect"]))
        for i, effect in enumerate(effects):
            part = measured[measured["effect"] == effect].drop_duplicates("set").set_index("set")
            part = part.loc[[name for name in names if name in part.index]]
            y = np.array([names.index(name) for name in part.index])
            y = y + 0.28 * (i - (len(effects) - 1) / 2)
            low, high = unit * part["control_low"], unit * part["control_high"]
            label = "95 % of matched random sets" if i == 0 else "_"
            axes.hlines(y, low, high, color=FAINT, linewidth=7, label=label)
            change = unit * part["change"]
            error = [change - unit * part["low"], unit * part["high"] - change]
            axes.errorbar(
                change, y, xerr=error, fmt="os"[i], color=PALETTE[i], label=f"{effect} effect"
            )
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_title(_TITLES[measure])


def _forced(mode: str) -> str:
    return "to their mean" if mode == "mean" else mode


def ablations(recording: Recording) -> Ablations:
    """Read what ablations did; `pathlens probe` and `pathlens.probing.ablate` measure it.

    Raises:
        PathLensError: If nothing was ablated for this recording.
    """
    table = read_beside(recording, ABLATIONS)
    if table is None:
        raise PathLensError(
            "What forcing filters off does was not measured: run `pathlens probe` on the recording, "
            "where its network and images are, and make the report again."
        )
    return Ablations(table, _without_signature(table, recording.classes or ()))


def _without_signature(table: pd.DataFrame, classes: Sequence[str]) -> str:
    """Where signatures of classes were ablated: how many classes have none."""
    held = set(table["set"])
    missing = sum(f"signature of {name}" not in held for name in classes)
    if missing in (0, len(classes)):
        return ""
    return f"signatures of {missing} of {len(classes)} classes, which were not ablated"
