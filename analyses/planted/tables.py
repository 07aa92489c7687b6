"""Print the tables of README.md and draw planted.svg from the CSV files of the studies.

Usage: python analyses/planted/tables.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from recovery import OUTCOMES
from running import HERE

from pathlens.analysis.drawing import FAINT, INK, PALETTE, figure_bytes, house_style, new_figure
from pathlens.analysis.rate_tests import wilson_interval

LEVEL = 0.05
WIDE = ["rates", "filters", "classes"]


def share(hits: int, trials: int) -> str:
    """A share in % with its 95 % score interval."""
    if not trials:
        return ""
    low, high = (100 * float(x) for x in wilson_interval(hits, trials))
    return f"{100 * hits / trials:.1f} [{low:.1f}, {high:.1f}]"


def mean(values: pd.Series) -> str:
    """A mean in % with its 95 % interval, by its standard error."""
    half = 1.96 * values.std() / np.sqrt(len(values))
    return f"{100 * values.mean():.2f} ± {100 * half:.2f}"


def recovery_table(frame: pd.DataFrame) -> pd.DataFrame:
    """What became of the planted sets, a row for each setting and size."""
    counts = frame.drop(columns="first").groupby([*WIDE, "phi", "size"], sort=False).sum()
    rows = counts.reset_index()
    parts = ["superset", "subset", "overlapping", "disjoint", "none"]
    assert set(parts) | {"exact"} == set(OUTCOMES)
    return rows[[*WIDE, "phi", "size", "runs"]].assign(
        **{
            "exact, %": _shares(rows, "exact"),
            **{f"{part}, %": (100 * rows[part] / rows["runs"]).round(1) for part in parts},
            "first in the table, %": _shares(rows, "first_exact"),
            "confirmed, %": _shares(rows, "confirmed"),
            "in truth as good, %": (100 * rows["better"] / rows["runs"]).round(1),
        }
    )


def _shares(rows: pd.DataFrame, column: str) -> list[str]:
    return [share(hits, runs) for hits, runs in zip(rows[column], rows["runs"], strict=True)]


def chance_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Share of runs with any claim, by setting and over all."""

    def row(runs: pd.DataFrame) -> dict[str, Any]:
        return {
            "runs": len(runs),
            "tested a run": round(runs["tested"].mean(), 1),
            "runs with a claim, %": share(int((runs["claims"] > 0).sum()), len(runs)),
            "had the searched images been tested, %": share(
                int((runs["claims_on_searched"] > 0).sum()), len(runs)
            ),
        }

    return _by(frame, WIDE, row)


def mixed_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean share of false claims, by setting and over all."""
    wrong = frame["false_claims"] / frame["claims"].clip(lower=1)

    def row(runs: pd.DataFrame) -> dict[str, Any]:
        return {
            "runs": len(runs),
            "tested a run": round(runs["tested"].mean(), 1),
            "of them true, %": round(100 * runs["true"].sum() / runs["tested"].sum(), 1),
            "claims a run": round(runs["claims"].mean(), 1),
            "mean false share, %": mean(runs["wrong"]),
        }

    return _by(frame.assign(wrong=wrong), ["rates", "noise", "classes"], row)


def beyond_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Verdicts by setting: of the concept by class alone, and of the one with an effect of its own."""

    def row(runs: pd.DataFrame) -> dict[str, Any]:
        total = runs.sum(numeric_only=True)
        return {
            "runs": len(runs),
            "alone: runs with a row beyond, %": share(
                int((runs["alone_beyond"] > 0).sum()), len(runs)
            ),
            "alone: explained, %": _part(total, "alone", "explained"),
            "alone: undecidable, %": _part(total, "alone", "undecidable"),
            "own: explained, %": share(int(total["related_explained"]), int(total["related_rows"])),
            "own: undecidable, %": _part(total, "related", "undecidable"),
            "pair tested, %": round(100 * total["pair_rows"] / len(runs), 1),
            "pair: explained, %": share(int(total["pair_explained"]), int(total["pair_rows"])),
            "pair: undecidable, %": _part(total, "pair", "undecidable"),
        }

    return _by(frame, ["images", "classes", "phi"], row)


def _part(total: pd.Series, who: str, verdict: str) -> float:
    return round(100 * total[f"{who}_{verdict}"] / max(total[f"{who}_rows"], 1), 1)


def scenes_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Claims by network, controls and kind of concept."""

    def row(reports: pd.DataFrame) -> dict[str, Any]:
        return {
            "reports": len(reports),
            "concepts": round(reports["concepts"].mean(), 1),
            "rows tested": int(reports["tested"].sum()),
            "rows confirmed, %": share(int(reports["claims"].sum()), int(reports["tested"].sum())),
            "reports with a claim, %": share(int((reports["claims"] > 0).sum()), len(reports)),
            "concepts with a claim": round(reports["concepts_claimed"].mean(), 1),
        }

    parts = [
        _by(part, ["controls", "seed"], row).assign(kind=kind)
        for kind, part in frame.groupby("kind")
    ]
    return pd.concat(parts, ignore_index=True)


def _by(
    frame: pd.DataFrame, keys: list[str], row: Callable[[pd.DataFrame], dict[str, Any]]
) -> pd.DataFrame:
    """A row for each setting, and one over all."""
    rows = [
        dict(zip(keys, values, strict=True)) | row(part)
        for values, part in frame.groupby(keys, sort=False)
    ]
    return pd.DataFrame([*rows, dict.fromkeys(keys, "") | {keys[0]: "all"} | row(frame)])


def markdown(table: pd.DataFrame) -> str:
    """A table as README.md has it."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(str(x) for x in line) + " |" for line in lines)


def draw(recovery: pd.DataFrame, before: pd.DataFrame, chance: pd.DataFrame) -> bytes:
    """Recovery against phi, and the share of runs with a claim where there is nothing.

    Args:
        recovery: Of recovery.csv.
        before: The same of `associations` without trimming.
        chance: Of chance.csv.
    """
    with house_style():
        figure = new_figure(9.0, 3.6)
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        _draw_recovery(left, recovery, "-", "")
        _draw_recovery(left, before, ":", ", not trimmed")
        left.axhline(95, color=FAINT, linewidth=1, zorder=0)
        left.set(
            xlabel="planted phi", ylabel="runs, %", ylim=(50, 102), xticks=[0.3, 0.4, 0.5, 0.7]
        )
        left.set_title("Planted set is the best that the search finds")
        _draw_chance(right, chance)
        handles = left.get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=2)
        return figure_bytes(figure, "svg")


def _draw_recovery(axes: Any, frame: pd.DataFrame, style: str, said: str) -> None:
    """All worlds that have every phi together, a line a size."""
    many = frame.groupby(WIDE)["phi"].transform("nunique") == frame["phi"].nunique()
    counts = frame[many].groupby(["size", "phi"])[["exact", "runs"]].sum()
    for place, (size, rows) in enumerate(counts.groupby(level="size")):
        value = 100 * rows["exact"] / rows["runs"]
        low, high = (100 * x for x in wilson_interval(rows["exact"], rows["runs"]))
        axes.errorbar(
            # Beside each other, so that intervals can be told apart.
            rows.index.get_level_values("phi") + 0.005 * (place - 1),
            value,
            # Rounding may put the end of an interval a hair inside the share.
            yerr=np.maximum([value - low, high - value], 0),
            linestyle=style,
            marker="os^"[place],
            markersize=4,
            color=PALETTE[place],
            label=f"{size} filter{'s' * (size > 1)}{said}",
        )


def _draw_chance(axes: Any, frame: pd.DataFrame) -> None:
    settings = [*frame.groupby(WIDE, sort=False), (("all", "", ""), frame)]
    for place, ((rates, *_), runs) in enumerate(settings):
        hits = int((runs["claims"] > 0).sum())
        low, high = wilson_interval(hits, len(runs))
        value = hits / len(runs)
        axes.errorbar(
            100 * value,
            place,
            xerr=[[100 * (value - float(low))], [100 * (float(high) - value)]],
            fmt="o",
            color=INK if rates == "all" else PALETTE[0],
        )
    names = [
        f"all {len(runs):,} runs" if rates == "all" else f"{rates} {filters}, {_said(classes)}"
        for (rates, filters, classes), runs in settings
    ]
    axes.axvline(100 * LEVEL, color=FAINT, linewidth=1, zorder=0)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="runs with any claim, %", xlim=(0, None), ylim=(len(names) - 0.5, -0.5))
    axes.set_title("No true association")


def _said(classes: int) -> str:
    return f"{classes} classes" if classes else "no classes"


def main(folder: Path = HERE) -> None:
    """Print all tables that can be made and draw the figure."""
    tables = {
        "recovery": recovery_table,
        "recovery_without_trimming": recovery_table,
        "chance": chance_table,
        "mixed": mixed_table,
        "beyond_class": beyond_table,
        "scenes": scenes_table,
    }
    for name, table in tables.items():
        if (folder / f"{name}.csv").exists():
            print(f"\n{name}\n\n{markdown(table(pd.read_csv(folder / f'{name}.csv')))}")
    drawn = [folder / f"{name}.csv" for name in ("recovery", "recovery_without_trimming", "chance")]
    if all(file.exists() for file in drawn):
        (folder / "planted.svg").write_bytes(draw(*map(pd.read_csv, drawn)))


if __name__ == "__main__":
    main()
