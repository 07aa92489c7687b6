"""An evaluation in sentences: its numbers, the worst ones included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pathlens.analysis.baselines import OWN
from pathlens.analysis.results import plural
from pathlens.detection.evaluation.cells import ATTACK, BENIGN, CLEAN
from pathlens.detection.evaluation.fitting import ON_ALL, ON_CLEAN, ON_THIS
from pathlens.detection.evaluation.leave_one_out import worst_cell

if TYPE_CHECKING:
    from pathlens.detection.evaluation.result import Evaluation


def summarise(evaluation: Evaluation) -> str:
    """All sentences that have something to say."""
    said = [
        _numbers(evaluation),
        _chosen(evaluation),
        _supervised(evaluation),
        _alarms(evaluation),
        _combined(evaluation),
    ]
    return " ".join(sentence for sentence in said if sentence)


def _numbers(evaluation: Evaluation) -> str:
    frame = evaluation.frame[evaluation.frame["kind"] == ATTACK].drop_duplicates("altered")
    scored, failed = int(frame["n_altered"].sum()), int(frame["n_failed"].sum())
    split = evaluation.split
    return (
        f"{split['test']:,} clean images and {plural(scored, 'attacked image')} of "
        f"{plural(len(frame), 'attack')} were tested ({failed:,} attacks failed and are not scored); "
        f"detectors were fitted on {split['fit']:,} clean images, thresholds fixed on "
        f"{split['threshold']:,} others."
    )


def _chosen(evaluation: Evaluation) -> str:
    rows = _own(evaluation, evaluation.choice.detector, ON_CLEAN)
    if rows.empty:
        return ""
    worst = rows.iloc[int(rows["auroc"].argmin())]
    said = (
        f"Of the detectors fitted on clean paths, {evaluation.choice.detector} was chosen beside the "
        f"test: mean AUROC {rows['auroc'].mean():.3f} over attacks, worst on {_cell(worst)}"
    )
    compared = rows[rows["difference"].notna()]
    if len(compared):
        above = int((compared["difference_low"] > 0).sum())
        below = int((compared["difference_high"] < 0).sum())
        said += (
            f"; with 95 % confidence it is above the best baseline on {above} and below it on {below} "
            f"of {plural(len(compared), 'attack')}"
        )
    return said + "."


def _supervised(evaluation: Evaluation) -> str:
    detector = best_supervised(evaluation)
    if not detector:
        return ""
    rows = _own(evaluation, detector, ON_THIS)
    said = (
        f"Fitted on attacks, {detector} has a mean AUROC of {rows['auroc'].mean():.3f} on its own"
    )
    worst = worst_cell(evaluation.matrix, detector, OWN)
    if worst is not None:
        said += f"; its worst cell is fitted on {worst['fitted_on']}, tested on {_cell(worst)}"
    return said + "."


def _alarms(evaluation: Evaluation) -> str:
    frame = evaluation.frame
    chosen = {
        evaluation.choice.detector: ON_CLEAN,
        best_supervised(evaluation): ON_ALL,
    }
    said = []
    for detector, fitted_on in chosen.items():
        rows = frame[(frame["code"] == OWN) & (frame["detector"] == detector)]
        rows = rows[rows["fitted_on"] == fitted_on]
        clean, benign = (rows[rows["kind"] == kind] for kind in (CLEAN, BENIGN))
        if clean.empty or clean["fpr_5"].isna().all():
            continue
        part = f"{detector} flags {clean['fpr_5'].iloc[0]:.1%} of tested clean images"
        known = benign[benign["alarms_5"].notna()]
        if len(known):
            worst = known.iloc[int(known["alarms_5"].argmax())]
            part += f" and at most {worst['alarms_5']:.1%} of benign ones ({worst['altered']})"
        said.append(part)
    return f"At the 5 % threshold, {'; '.join(said)}." if said else ""


def _combined(evaluation: Evaluation) -> str:
    rows = evaluation.combined
    rows = rows[(rows["code"] == OWN) & (rows["detector"] == evaluation.choice.detector)]
    if rows.empty:
        return ""
    better = int((rows["difference_low"] > 0).sum())
    worse = int((rows["difference_high"] < 0).sum())
    return (
        f"Together with {evaluation.choice.baseline} it is better than either alone on {better} and "
        f"worse than the better one on {worse} of {plural(len(rows), 'attack')} (mean AUROC "
        f"{rows['auroc'].mean():.3f})."
    )


def best_supervised(evaluation: Evaluation) -> str:
    """The supervised detector on paths of the highest worst cell; "" if there is none.

    It is chosen on tested images, which is why sentences tell its worst cell.
    """
    names = evaluation.matrix.loc[evaluation.matrix["code"] == OWN, "detector"].unique()
    lowest: dict[str, float] = {}
    for name in names:
        cell = worst_cell(evaluation.matrix, name, OWN)
        if cell is not None:
            lowest[name] = float(cell["auroc"])
        else:
            lowest[name] = float(_own(evaluation, name, ON_THIS)["auroc"].mean())
    return max(lowest, key=lambda name: lowest[name], default="")


def _own(evaluation: Evaluation, detector: str, fitted_on: str) -> pd.DataFrame:
    """Rows of a detector on the network's paths on attacks that it was scored on."""
    frame = evaluation.frame
    rows = frame[(frame["code"] == OWN) & (frame["detector"] == detector)]
    return rows[(rows["fitted_on"] == fitted_on) & (rows["kind"] == ATTACK) & rows["auroc"].notna()]


def _cell(row: pd.Series) -> str:
    return f"{row['altered']} ({row['auroc']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}])"
