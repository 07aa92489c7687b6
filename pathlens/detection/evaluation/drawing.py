"""Figures of an evaluation: detectors against altered sets, and attacks against attacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pathlens.analysis.baselines import OWN
from pathlens.analysis.drawing import INK, empty_figure, house_style, new_figure, plain_text
from pathlens.detection.detectors.registry import BASELINES
from pathlens.detection.evaluation.cells import CLEAN
from pathlens.detection.evaluation.combined import name_of
from pathlens.detection.evaluation.fitting import ON_CLEAN, ON_OTHERS
from pathlens.detection.sets import ATTACK, BENIGN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pathlens.detection.evaluation.result import Evaluation

_LONGEST = 28
_AREA = "attacked against clean, AUROC (0.5: chance)"
_CELL_WIDTH, _CELL_HEIGHT = 0.56, 0.26
_MOST_ALARMS = 0.25  # where the shade of false alarms ends


@dataclass(frozen=True)
class _Row:
    """One row of the figure: its name, its rows of the table, and the block that it stands in."""

    name: str
    values: pd.DataFrame
    block: int


def draw_table(evaluation: Evaluation) -> Figure:
    """Heat map of areas (attacks), beside it one of false alarms at the 5 % threshold (benign)."""
    frame = evaluation.frame
    attacks = list(dict.fromkeys(frame.loc[frame["kind"] == ATTACK, "altered"]))
    clean = dict.fromkeys(frame.loc[frame["kind"] == CLEAN, "altered"])
    benign = [*clean, *dict.fromkeys(frame.loc[frame["kind"] == BENIGN, "altered"])]
    rows = _rows(evaluation)
    if not rows or not attacks:
        return empty_figure("Detectors", "No detector was scored on an attack.")
    areas = _matrix(rows, attacks, "auroc")
    alarms = _matrix(rows, benign, "alarms_5")
    alarms[:, : len(clean)] = _matrix(rows, list(clean), "fpr_5")
    names = [row.name for row in rows]
    with house_style():
        width = 2.6 + _CELL_WIDTH * (len(attacks) + len(benign)) + 1.2
        figure = new_figure(max(width, 7.0), 2.2 + _CELL_HEIGHT * len(rows))
        left, right = figure.subplots(
            1, 2, gridspec_kw={"width_ratios": [len(attacks), len(benign)]}
        )
        _heat(
            left,
            areas,
            names,
            attacks,
            _area_colours(),
            (0.0, 1.0),
            _AREA,
        )
        _write(left, areas, "{:.2f}", _best(areas), 0.5, 0.26)
        left.set_title("AUROC, best in bold")
        shades = _alarm_colours()
        label = "share flagged (aim: 5 %)"
        _heat(right, alarms, [], benign, shades, (0.0, _MOST_ALARMS), label)
        _write(right, 100 * alarms, "{:.0f} %", np.zeros_like(alarms, dtype=bool), 0.0, 14.0)
        right.set_title("False alarms at 5 %")
        for axes in (left, right):
            _separate(axes, [row.block for row in rows])
    return figure


def _rows(evaluation: Evaluation) -> list[_Row]:
    """Detectors on paths, sums, baselines, other codes, and supervised ones, in blocks."""
    frame = evaluation.frame
    own, others = frame[frame["code"] == OWN], frame[frame["code"] != OWN]
    clean = own[own["fitted_on"] == ON_CLEAN]
    found: list[_Row] = []
    outputs = [x for x in BASELINES if x in set(clean["detector"])]
    sums = set(
        evaluation.combined["detector"].map(lambda x: name_of(x, evaluation.choice.baseline))
    )
    chosen = name_of(evaluation.choice.detector, evaluation.choice.baseline)
    paths = [x for x in dict.fromkeys(clean["detector"]) if x not in sums and x not in outputs]
    found += [_Row(x, clean[clean["detector"] == x], 0) for x in paths]
    if chosen in sums:
        found.append(_Row(chosen, clean[clean["detector"] == chosen], 0))
    found += [_Row(x, clean[clean["detector"] == x], 1) for x in outputs]
    for code, part in others[others["fitted_on"] == ON_CLEAN].groupby("code", sort=False):
        found.append(_Row(f"{code}: best of its detectors", _best_of(part), 1))
    learned = own[own["supervised"].astype(bool)]
    for block, (fitted_on, part) in enumerate(learned.groupby("fitted_on", sort=False), start=2):
        for name, rows in part.groupby("detector", sort=False):
            found.append(_Row(f"{name}, {fitted_on}", rows, block))
    return found


def _best_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The row of the highest area of each attack; what flags benign images is then no one's."""
    attacked = rows[(rows["kind"] == ATTACK) & rows["auroc"].notna()]
    return attacked.loc[attacked.groupby("altered")["auroc"].idxmax()]


def _matrix(rows: Sequence[_Row], columns: Sequence[str], value: str) -> Any:
    picked = [row.values.set_index("altered")[value].reindex(list(columns)) for row in rows]
    return np.array(picked, dtype=float).reshape(len(rows), len(columns))


def _area_colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("area", ["#B35806", "#FFFFFF", "#004D7A"])


def _alarm_colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("alarms", ["#FFFFFF", "#D55E00"])


def _heat(
    axes: Axes,
    values: Any,
    rows: Sequence[str],
    columns: Sequence[str],
    colours: Any,
    limits: tuple[float, float],
    legend: str,
) -> None:
    from matplotlib.ticker import PercentFormatter

    colours = colours.with_extremes(bad="#EFEFEF")
    shown = np.ma.masked_invalid(values)
    drawn = axes.pcolormesh(
        shown, cmap=colours, vmin=limits[0], vmax=limits[1], edgecolor="white", linewidth=0.6
    )
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(rows)) + 0.5, [plain_text(x, 44) for x in rows])
    if not rows:
        axes.set_yticks([])
    labels = [plain_text(x, _LONGEST) for x in columns]
    axes.set_xticks(
        np.arange(len(columns)) + 0.5, labels, rotation=45, ha="right", rotation_mode="anchor"
    )
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.7, pad=0.02, aspect=25)
    bar.set_label(legend)
    if limits[1] == _MOST_ALARMS:
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    bar.outline.set_visible(False)


def _write(axes: Axes, values: Any, form: str, bold: Any, middle: float, dark: float) -> None:
    """Write values into cells, white where they are further than `dark` from `middle`."""
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        axes.text(
            column + 0.5,
            row + 0.52,
            form.format(value),
            ha="center",
            va="center",
            fontsize=7,
            color="white" if abs(value - middle) > dark else INK,
            fontweight="bold" if bold[row, column] else "normal",
        )


def _best(values: Any) -> Any:
    """Cells that, as they are printed, are the highest of their column."""
    printed = np.round(np.where(np.isnan(values), -1.0, values), 2)
    return (printed == printed.max(axis=0)) & (printed >= 0)


def _separate(axes: Axes, blocks: Sequence[int]) -> None:
    for place in np.flatnonzero(np.diff(blocks)) + 1:
        axes.axhline(float(place), color=INK, linewidth=1.0)


def draw_matrix(matrix: pd.DataFrame, detector: str | None = None) -> Figure:
    """Attack fitted on (rows) against attack tested on (columns), a panel a detector on paths."""
    rows = matrix[matrix["code"] == OWN]
    names = [x for x in dict.fromkeys(rows["detector"]) if detector in (None, x)]
    if not names:
        return empty_figure("Fitted on one attack", "No supervised detector was evaluated.")
    tested = list(dict.fromkeys(rows["altered"]))
    fitted = [*tested, ON_OTHERS] if (rows["fitted_on"] == ON_OTHERS).any() else tested
    with house_style():
        width = 1.9 + _CELL_WIDTH * len(tested) + 0.9
        figure = new_figure(max(width, 5.0), (2.1 + _CELL_HEIGHT * len(fitted)) * len(names))
        panels = figure.subplots(len(names), 1, squeeze=False)[:, 0]
        for axes, name in zip(panels, names, strict=True):
            part = rows[rows["detector"] == name]
            table = part.pivot(index="fitted_on", columns="altered", values="auroc")
            values = table.reindex(index=fitted, columns=tested).to_numpy(dtype=float)
            _heat(
                axes,
                values,
                fitted,
                tested,
                _area_colours(),
                (0.0, 1.0),
                _AREA,
            )
            same = part.pivot(index="fitted_on", columns="altered", values="same_family")
            seen = same.reindex(index=fitted, columns=tested).eq(True).to_numpy()
            _write(axes, values, "{:.2f}", _worst(values, seen), 0.5, 0.26)
            axes.set(ylabel="fitted on", xlabel="tested on")
            axes.set_title(f"{plain_text(name)}: worst unseen family in bold")
            _separate(axes, [int(x == ON_OTHERS) for x in fitted])
    return figure


def _worst(values: Any, seen: Any) -> Any:
    """The lowest cell of an attack of whose family none was fitted on."""
    unseen = np.where(np.isnan(values) | seen, np.inf, values)
    return (unseen == unseen.min()) & np.isfinite(unseen)
