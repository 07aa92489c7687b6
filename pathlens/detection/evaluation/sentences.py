"""An evaluation in sentences: its numbers, the worst ones included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pathlens.analysis.baselines import OWN
from pathlens.analysis.results import plural
from pathlens.detection.evaluation.cells import CLEAN, MISCLASSIFIED
from pathlens.detection.evaluation.fitting import ON_ALL, ON_CLEAN, ON_THIS
from pathlens.detection.evaluation.leave_one_out import worst_cell
from pathlens.detection.sets import ATTACK, BENIGN

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
        _matched(evaluation),
    ]
    return " ".join(sentence for sentence in said if sentence)


def _numbers(evaluation: Evaluation) -> str:
    frame = evaluation.frame[evaluation.frame["kind"] == ATTACK].drop_duplicates("altered")
    scored, failed = int(frame["n_altered"].sum()), int(frame["n_failed"].sum())
    split = evaluation.split
    return (
        f"{split['test']:,} clean images and {plural(scored, 'attacked image')} of "
        f"{plural(len(frame), 'attack')} were tested ({failed:,} attacks failed and are not scored; the "
        "other side of each area is all clean images that the network gets right, of twins only those "
        f"that the attacked ones were made of); detectors were fitted on {split['fit']:,} clean images, "
        f"thresholds fixed on {split['threshold']:,} others."
    )


def _chosen(evaluation: Evaluation) -> str:
    rows = _own(evaluation, evaluation.choice.detector, ON_CLEAN)
    if rows.empty:
        return ""
    worst = rows.iloc[int(rows["auroc"].argmin())]
    said = (
        f"Of the detectors fitted on clean paths, {evaluation.choice.detector} was chosen with the same "
        f"attacks on the images to fit on: mean AUROC {rows['auroc'].mean():.3f} over attacks "
        f"({rows['auroc_twins'].mean():.3f} against twins), worst on {_cell(worst)}"
    )
    compared = rows[rows["difference"].notna()]
    if len(compared):
        above, below = _verdicts(compared, "")
        said += (
            f"; with 95 % confidence it is above the best baseline on {above} and below it on {below} "
            f"of {plural(len(compared), 'attack')}"
        )
        twins = _verdicts(compared, "_twins")
        if _disagree(compared):
            said += f" (against twins above on {twins[0]} and below on {twins[1]})"
    return said + "."


def _verdicts(rows: pd.DataFrame, end: str) -> tuple[int, int]:
    """On how many attacks a detector is surely above, and surely below, the best baseline."""
    above = int((rows[f"difference{end}_low"] > 0).sum())
    return above, int((rows[f"difference{end}_high"] < 0).sum())


def _disagree(rows: pd.DataFrame) -> bool:
    """Whether any attack is judged otherwise against twins than against all clean images."""
    differ = [
        (rows[f"difference{x}"] > 0) != (rows[f"difference_twins{x}"] > 0)
        for x in ("_low", "_high")
    ]
    return bool((differ[0] | differ[1]).any())


def _supervised(evaluation: Evaluation) -> str:
    detector = evaluation.choice.supervised
    rows = _own(evaluation, detector, ON_THIS)
    if rows.empty:
        return ""
    said = (
        f"Fitted on attacks, {detector}, chosen by families left out on the images to fit on, has a "
        f"mean AUROC of {rows['auroc'].mean():.3f} on its own ({rows['auroc_twins'].mean():.3f} against "
        "twins)"
    )
    worst = worst_cell(evaluation.matrix, detector, OWN)
    overall = worst_cell(evaluation.matrix, detector, OWN, within_families=True)
    if worst is None:
        said += "; there is no other family of attacks to test it on"
    else:
        said += f"; its worst cell over families is {_pair(worst)}"
    if overall is not None and (worst is None or overall["auroc"] < worst["auroc"]):
        said += f"; its worst of all, within a family, is {_pair(overall)}"
    elif worst is not None:
        said += ", which is its worst of all"
    return said + "."


def _pair(row: pd.Series) -> str:
    return f"fitted on {row['fitted_on']}, tested on {_cell(row)}"


def _alarms(evaluation: Evaluation) -> str:
    frame = evaluation.frame
    chosen = {
        evaluation.choice.detector: ON_CLEAN,
        evaluation.choice.supervised: ON_ALL,
    }
    said = []
    for detector, fitted_on in chosen.items():
        rows = frame[(frame["code"] == OWN) & (frame["detector"] == detector)]
        rows = rows[rows["fitted_on"] == fitted_on]
        clean, benign = (rows[rows["kind"] == kind] for kind in (CLEAN, BENIGN))
        if clean.empty or clean["fpr_5"].isna().all():
            continue
        part = _clean_alarms(detector, clean)
        known = benign[benign["alarms_5"].notna()]
        if len(known):
            worst = known.iloc[int(known["alarms_5"].argmax())]
            part += f" and at most {worst['alarms_5']:.1%} of benign ones ({worst['altered']})"
        said.append(part)
    return f"At the 5 % threshold, {'; '.join(said)}." if said else ""


def _clean_alarms(detector: str, clean: pd.DataFrame) -> str:
    rates = dict(zip(clean["altered"], clean["fpr_5"], strict=True))
    said = f"{detector} flags {rates[CLEAN]:.1%} of tested clean images that are right"
    if MISCLASSIFIED in rates:
        both = clean["fpr_all_5"].iloc[0]
        said += f", {rates[MISCLASSIFIED]:.1%} of those that are misclassified ({both:.1%} of all)"
    return said


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


def _matched(evaluation: Evaluation) -> str:
    rows = evaluation.matched
    if rows.empty:
        return ""
    rows = rows[rows["code"] == OWN].drop_duplicates("altered")
    few = rows[rows["matched_share"] < 0.5]
    if few.empty:
        return ""
    least = few.iloc[int(few["matched_share"].argmin())]
    return (
        f"At matched {least['matched_on']}, clean images are like less than half of the attacked ones "
        f"for {len(few)} of {plural(len(rows), 'attack')} ({least['matched_share']:.0%} of "
        f"{least['altered']}): areas there speak of that part alone."
    )


def _own(evaluation: Evaluation, detector: str, fitted_on: str) -> pd.DataFrame:
    """Rows of a detector on the network's paths on attacks that it was scored on."""
    frame = evaluation.frame
    rows = frame[(frame["code"] == OWN) & (frame["detector"] == detector)]
    return rows[(rows["fitted_on"] == fitted_on) & (rows["kind"] == ATTACK) & rows["auroc"].notna()]


def _cell(row: pd.Series) -> str:
    return f"{row['altered']} ({row['auroc']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}])"
