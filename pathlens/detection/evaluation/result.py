"""What an evaluation of detectors has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pathlens.analysis.results import Result
from pathlens.detection.evaluation.choosing import Choice

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Evaluation(Result):
    """How well detectors tell altered images from clean ones; shares and areas from 0 to 1.

    Intervals are 95 % bootstrap intervals over source images, thresholds and fits held fixed.

    Attributes:
        frame: A row a code, detector, what it was fitted on, and set: code, detector ("a + b" for a sum
            of two), supervised, fitted_on ("clean"; of supervised ones "this attack", "all other
            attacks", which are those of other families, "all attacks"), altered (name of the set,
            "clean" for the tested clean images that the network gets right, "clean, misclassified"
            for those it gets wrong), kind ("attack", "benign", "clean"), n_clean and n_altered
            (tested images), n_twins (tested clean images that an image of the set was made of),
            n_failed (attacks on tested sources that failed, not scored), n_changed (altered images
            with another prediction), auroc, ci_low, ci_high (against all tested clean images that
            the network gets right), auroc_twins, twins_low, twins_high (against the n_twins alone,
            as attacks succeed on easier images), tpr_1 and tpr_5 (attacked images flagged at
            thresholds for 1 % and 5 % false positives), alarms_1 and alarms_5 (benign ones flagged),
            fpr_1 and fpr_5 (tested clean ones flagged; thresholds promise them of images that the
            network gets right), fpr_all_1 and fpr_all_5 (in rows of clean images: right and wrong
            ones, mixed as in the recording), each with _low and _high, baseline (the best one on the
            set, "code: detector"), difference (area minus the baseline's), difference_low,
            difference_high, and the same four with _twins of the area against twins.
        matrix: Supervised detectors, a row a pair of attacks: code, detector, fitted_on (an attack,
            or "all other attacks": those of all other families), altered, same_family (whether
            attacks of the family tested were fitted on), n_clean, n_altered, auroc, ci_low, ci_high,
            tpr_1, tpr_5, fpr_5.
        few: code, detector, fitted_on, altered, examples ("1", "5", ... a class, "all"), n_fit_clean,
            n_fit_altered, draws, auroc (mean over draws), auroc_low and auroc_high (extremes).
        matched: At matched confidence: code, detector, supervised, fitted_on, altered, kind,
            matched_on ("logit margin", of the two largest, where logits were recorded, else
            "confidence"), n_clean, n_altered, effective_clean and effective_altered (Kish's
            effective numbers), matched_share (of the attacked images' weight that clean ones could
            match), auroc_all (all images alike), auroc, ci_low, ci_high, tpr_5, fpr_5 (threshold from
            weighted clean images).
        depth: code, altered, kind, n, layer (number), layer_name, path_of ("predicted" or "true"
            class), distance (mean standardised distance to that class path), low, high.
        crossings: From which layer on attacked images are nearer to the class they are taken for:
            code, altered, n, layer, layer_name, low, high, never (share of bootstrap samples in which
            the last layer is nearer to the true class).
        combined: code, detector, baseline, altered, auroc (of both together), auroc_detector,
            auroc_baseline, difference (to the better of the two), difference_low, difference_high.
        spread: Over repeated splits: code, detector, fitted_on, altered, kind, seeds, auroc_mean,
            auroc_sd, auroc_min, auroc_max, tpr_5_mean, fpr_5_mean; empty for one seed.
        choice: The best detector on clean paths, the best baseline and the best supervised detector,
            chosen with the same attacks made of other images than those tested.
        split: Numbers of clean images: fit, threshold, test.
        classes: Class names.
        left_out: What was not evaluated, and why.
    """

    frame: pd.DataFrame = field(repr=False)
    matrix: pd.DataFrame = field(repr=False)
    few: pd.DataFrame = field(repr=False)
    matched: pd.DataFrame = field(repr=False)
    depth: pd.DataFrame = field(repr=False)
    crossings: pd.DataFrame = field(repr=False)
    combined: pd.DataFrame = field(repr=False)
    spread: pd.DataFrame = field(repr=False)
    choice: Choice
    split: dict[str, int]
    classes: tuple[str, ...] = field(repr=False)
    left_out: str = field(repr=False)

    def plot(self) -> Figure:
        """Areas of detectors on attacks as a heat map, beside it false alarms on benign images."""
        from pathlens.detection.evaluation.drawing import draw_table

        return draw_table(self)

    def plot_depth(self) -> Figure:
        """Distance to the class paths of the predicted and the true class, layer by layer."""
        from pathlens.detection.evaluation.depth_drawing import draw_depth

        return draw_depth(self.depth, self.crossings)

    def plot_matrix(self, detector: str | None = None) -> Figure:
        """Attack fitted on against attack tested on, for each supervised detector on paths.

        Args:
            detector: Only this one; all for None.
        """
        from pathlens.detection.evaluation.drawing import draw_matrix

        return draw_matrix(self.matrix, detector)

    def summary(self) -> str:
        """Numbers of images, the chosen detector, the worst cells, false alarms, and what adds up."""
        from pathlens.detection.evaluation.sentences import summarise

        return summarise(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write all tables as CSV, the figures as PNG and SVG, and the summary as text.

        Args:
            folder: Where to; made if it is missing, files of the same names are replaced.

        Returns:
            The files, each whole.

        Raises:
            PathLensError: If the disk is full or the folder may not be written.
        """
        from pathlens.detection.evaluation.saving import save_evaluation

        return save_evaluation(self, Path(folder))
