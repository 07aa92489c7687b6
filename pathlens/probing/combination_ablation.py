"""The causal check of associations: what is lost of a concept without the combination.

Images with a concept being routed through some filters does not say that the concept is carried there.
The filters are gated off, and a linear read-out of the concept, fitted on the network's penultimate
features on discovery images, says how much of it is left, beside random sets of filters.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.associating.association_table import Associations
from pathlens.analysis.associating.targets import count_groups, group_codes
from pathlens.analysis.source import Ints
from pathlens.errors import PathLensError
from pathlens.probing.combination_questions import Question, chosen_rows_of, questions_of
from pathlens.probing.combination_row import trial_row
from pathlens.probing.combination_trial import Measured
from pathlens.probing.feature_bench import FeatureBench
from pathlens.probing.read_out import ReadOut, fit_read_out
from pathlens.probing.subject import Subject, open_subject
from pathlens.progress import progress_bar
from pathlens.recording.reader import Recording, open_recording

COLUMNS = (
    *("layer", "name", "combination", "concept"),
    *("ablation_effect", "ablation_effect_ci_low", "ablation_effect_ci_high"),
    *("ablation_effect_random", "ablation_effect_random_low", "ablation_effect_random_high"),
    *("p_random", "random_sets", "ablation_effect_taking", "ablation_effect_direct"),
    *("ablation_effect_without", "ablation_effect_without_ci_low"),
    *("ablation_effect_without_ci_high", "ablation_effect_without_random"),
    *("probability_change", "probability_change_random"),
    *("probability_change_without", "probability_change_without_random"),
    *("accuracy_change", "accuracy_change_random"),
    *("accuracy_change_without", "accuracy_change_without_random"),
    *("images", "images_taking", "images_without", "groups"),
    *("read_out_auroc", "read_out_images", "read_out_strength"),
    *("rate", "random_rate", "contribution", "random_contribution", "note"),
)
"""Columns of `ablate_combinations`, which says what they mean."""


def ablate_combinations(
    recording: str | Path | Recording,
    found: Associations,
    *,
    concepts: pd.DataFrame | None = None,
    threshold: float | None = None,
    data: str | Path | None = None,
    confirmed_only: bool = True,
    images: int = 500,
    fit_images: int = 2000,
    random_sets: int = 20,
    resamples: int = 500,
    seed: int = 0,
    device: str = "cpu",
    batch_size: int = 64,
    progress: bool = True,
) -> pd.DataFrame:
    """Gate off the combination of every association; see what is left of its concept.

    The read-out of a concept is an L2-regularised logistic regression from penultimate features (the
    input of the classifier, averaged over positions where that is a convolution) on discovery images
    of the very split that was searched; see `fit_read_out`. What it says is measured on confirmation
    images. Its log odds have a unit of their own for each concept: compare an effect with random sets,
    not with the effect on another concept.

    The effect is the mean over *all* images with the concept, also those that do not take the
    combination. On those that take it all its gates are on by choice, and random sets, some of whose
    gates are off there, would do less for that reason alone. Random sets are matched on size, on-rate
    and contribution (mean root mean square of the gated output) among the same images with the
    concept, so that as many gates as strong are forced off; see `matched_sets`.

    Args:
        recording: A labelled recording that lies below its run.
        found: Associations of this recording.
        concepts: The concept table that was searched; None for the recording's own.
        threshold: The threshold that was searched with.
        data: Where the images are, if not where the run found them.
        confirmed_only: Whether to leave out associations that were not confirmed.
        images: Confirmation images a concept, at most: half with it and half without where possible.
        fit_images: Discovery images that the read-out of a concept is fitted on, at most, in the same
            way.
        random_sets: Random sets for each combination.
        resamples: Bootstrap resamples; 0 for no intervals.
        seed: Draws images, random sets, folds and resamples.
        device: Where to run.
        batch_size: Images a forward pass.
        progress: Whether to show progress bars.

    Returns:
        A row an association, in the order of `found`; a row's numbers do not depend on which others
        are asked for. layer, name (of the layer), combination (filters joined by "+"), concept.

        All changes are ablated less own path, means over images with the concept, or without it in
        columns with `_without`; `_random` is the mean over random sets. ablation_effect: change of
        the log odds of the read-out, later gates decided anew (the total effect; negative: the
        combination carries the concept), with its 95 % bootstrap interval over images
        (ablation_effect_ci_low, ablation_effect_ci_high), over groups where images are grouped;
        ablation_effect_random, ablation_effect_random_low and ablation_effect_random_high (2.5 and
        97.5 % of the sets); p_random (share of random sets that lower the log odds at least as much,
        (1 + hits) / (1 + sets); it speaks for the combination only beside an effect below 0, as it is
        small, too, where random sets raise them more); random_sets (their number, fewer than wanted
        where a layer has no more); ablation_effect_taking (over images with the concept that take the
        combination); ablation_effect_direct (all other gates kept as recorded);
        ablation_effect_without with its interval and ablation_effect_without_random;
        probability_change (of the class predicted on the own path) and accuracy_change, each also
        `_random`, `_without` and `_without_random`; changes of accuracy are missing where the
        recording has no labels.

        images (measured ones with the concept), images_taking (those of them that take the
        combination), images_without, groups (of the images with the concept; 0 where each stands
        alone). read_out_auroc (on the measured images, own paths), read_out_images (it was fitted
        on), read_out_strength (C). rate, random_rate, contribution, random_contribution (mean over
        filters, among images with the concept). note: what speaks against trusting the row, in words;
        "" for nothing.

    Raises:
        PathLensError: If the run is gone, plain or has another checkpoint, the images are others, the
            associations are not of this recording and concept table, a count is out of range, or the
            classifier cannot be found.
    """
    _check(images=images, fit_images=fit_images, random_sets=random_sets, resamples=resamples)
    source = recording if isinstance(recording, Recording) else open_recording(recording)
    rows = chosen_rows_of(found, confirmed_only=confirmed_only)
    if rows.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    questions = questions_of(
        source,
        rows,
        found.question.split,
        concepts,
        threshold,
        images=images,
        fit_images=fit_images,
        seed=seed,
    )
    subject = open_subject(source, data, labelled=False)
    settings: dict[str, Any] = {"device": device, "batch_size": batch_size}
    groups = group_codes(source.images)
    read_outs = _read_outs(subject, questions, groups, seed, settings, progress=progress)
    measured = _measured(subject, questions, read_outs, settings)
    trials = [measured.trial(question, random_sets, seed) for question in questions]
    measured.run(trials, progress=progress)
    blocks = groups if count_groups(source.images) else None
    table = [
        trial_row(trial, read_outs[trial.question.concept], blocks, random_sets, resamples, seed)
        for trial in trials
    ]
    return pd.DataFrame(table)[list(COLUMNS)]


def _check(*, images: int, fit_images: int, random_sets: int, resamples: int) -> None:
    least = {"images": (images, 2), "fit_images": (fit_images, 2)}
    least |= {"random_sets": (random_sets, 0), "resamples": (resamples, 0)}
    for name, (value, bound) in least.items():
        if value < bound:
            raise PathLensError(f"{name} is {value}: give at least {bound}.")


def _read_outs(
    subject: Subject,
    questions: Sequence[Question],
    groups: Ints,
    seed: int,
    settings: dict[str, Any],
    *,
    progress: bool,
) -> dict[str, ReadOut]:
    """The read-out of every concept, fitted on discovery images on their own paths."""
    concepts = {question.concept: question.images for question in questions}
    rows = np.unique(np.concatenate([x.fitted for x in concepts.values()]))
    features = FeatureBench(subject, rows, **settings).features
    fitted = {}
    for name, chosen in progress_bar(concepts.items(), desc="read-outs", shown=progress):
        seen = features[np.searchsorted(rows, chosen.fitted)].astype(np.float64)
        fitted[name] = fit_read_out(seen, chosen.fitted_has, groups[chosen.fitted], seed)
    return fitted


def _measured(
    subject: Subject,
    questions: Sequence[Question],
    read_outs: dict[str, ReadOut],
    settings: dict[str, Any],
) -> Measured:
    rows = np.unique(np.concatenate([x.images.measured for x in questions]))
    layers = {question.layer.name for question in questions}
    bench = FeatureBench(subject, rows, sorted(layers), **settings)
    return Measured(bench, rows, subject.labels[rows], read_outs)
