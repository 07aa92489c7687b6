"""`fit()`, `score()`, `evaluate_recordings()`: detectors from recordings, and what they are worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pathlens.analysis.results import join_notes
from pathlens.analysis.source import Floats
from pathlens.detection.data import (
    DetectionData,
    detection_data,
    joined,
    successful_attacks,
)
from pathlens.detection.detectors import Detector, find_detector
from pathlens.detection.evaluation import Evaluation, evaluate
from pathlens.detection.evaluation.families import is_adaptive
from pathlens.detection.evaluation.metrics import threshold_at
from pathlens.detection.saving import SavedDetector, load_detector, save_detector, write_scores
from pathlens.detection.sets import AlteredSets, altered_sets, require_clean
from pathlens.detection.sides import FIT, HELD_BACK, THRESHOLD, right_images, shared_out
from pathlens.detection.used import UsedImages
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec
from pathlens.recording.reader import Recording, open_recording

FALSE_ALARMS = 0.05
"""Share of clean images that may be flagged, unless something else is asked for."""

HOLD_BACK = 0.2
"""Share of clean images that fitting leaves alone, so that attacks on detectors find unseen ones."""

FITTED = "detectors"
"""Folder of fitted detectors beside a recording."""


def fit(
    recording: str | Path | Recording,
    detectors: str | Detector | Sequence[str | Detector] = ("likelihood",),
    *,
    attacked: Iterable[str | Path | Recording] = (),
    layers: Iterable[LayerSpec] | None = None,
    false_alarms: float = FALSE_ALARMS,
    hold_back: float = HOLD_BACK,
    out: str | Path | None = None,
    seed: int = 0,
) -> dict[str, SavedDetector]:
    """Fit detectors on some clean images, fix thresholds on as many others, and leave the rest alone.

    Args:
        recording: Clean images that the network was not trained on. Where labels are known,
            detectors are fitted on those that it gets right; thresholds are fixed on all, as no
            user knows which of new images it gets right.
        detectors: Names (`DETECTORS`), or detectors with settings of their own.
        attacked: Recordings of attacked images for supervised detectors; of each those count that
            were made of an image that is fitted on and are misclassified.
        layers: Layers that detectors see, by number, name or glob; all for None.
        false_alarms: Share of new clean images that are flagged at most, 0 to 1.
        hold_back: Share of the clean images that is neither fitted on nor fixes thresholds, from 0
            to below 1: what `attack_detector` attacks, as success on images that a detector has seen
            says little of others.
        out: Folder to write to; `detectors` beside the recording if not given.
        seed: Draws who goes where; images of one group stay together.

    Returns:
        The fitted detectors by name, which are written.

    Raises:
        PathLensError: If a detector is unknown or cannot be fitted, images are too few for the
            share of false alarms, the recording holds altered images, or recordings do not belong
            together. Nothing is written then.
    """
    if not 0 < false_alarms < 1:
        raise PathLensError(
            f"A share of false alarms of {false_alarms} is not between 0 and 1: give one such as 0.05."
        )
    if not 0 <= hold_back < 1:
        raise PathLensError(
            f"A share of {hold_back} to hold back is not from 0 to below 1: give one such as 0.2, or 0."
        )
    _require_seed(seed)
    wanted = _wanted(detectors)
    source = recording if isinstance(recording, Recording) else open_recording(recording)
    require_clean(source)
    chosen = None if layers is None else list(layers)
    clean = detection_data(source, chosen)
    sides = shared_out(clean, hold_back, seed)
    half, other = right_images(clean.take(sides == FIT)), clean.take(sides == THRESHOLD)
    used = UsedImages.of(clean.sources[sides != HELD_BACK])
    attacks = _attacked(source, attacked, chosen, set(half.sources.tolist()))
    checkpoint = str(source.manifest.get("checkpoint", ""))
    found = {}
    for detector in wanted:
        fitted = detector.fit(half, attacks if detector.supervised else None)
        threshold = threshold_at(fitted.score(other), false_alarms)
        if not np.isfinite(threshold):
            raise PathLensError(
                f"{len(other)} clean images fix no threshold for {false_alarms:.2%} false alarms: give "
                f"{int(np.ceil(1 / false_alarms)) - 1} of them at least, or allow more."
            )
        found[detector.name] = SavedDetector(detector, fitted, checkpoint, threshold, used)
    folder = source.folder / FITTED if out is None else Path(out)
    for saved in found.values():
        save_detector(folder, saved)
    return found


def score(
    recording: str | Path | Recording,
    detectors: str | Path | Sequence[SavedDetector] | Mapping[str, SavedDetector],
) -> dict[str, tuple[Floats, float | None]]:
    """Score the images of a recording, and write the scores beside it.

    Args:
        recording: Any images of the same checkpoint.
        detectors: Fitted detectors (as `fit` returns them), or the folder (or one JSON file) in which
            they are.

    Returns:
        Detector name to float64 (images,) scores, higher for stranger ones, and its threshold; as in
        `detection_scores.csv` (image, detector, score, threshold, flagged).

    Raises:
        PathLensError: If there are no detectors, they belong to another checkpoint, or the recording
            lacks what they read.
    """
    source = recording if isinstance(recording, Recording) else open_recording(recording)
    given = fitted_for(str(source.manifest.get("checkpoint", "")), detectors)
    # Read once for all: a recording may be large.
    names = {name: None for saved in given for name in saved.fitted.layers.names}
    data = detection_data(source, list(names) or None)
    found = {one.detector.name: (one.fitted.score(data), one.threshold) for one in given}
    write_scores(source, found)
    return found


def fitted_for(
    checkpoint: str,
    detectors: str | Path | Sequence[SavedDetector] | Mapping[str, SavedDetector],
) -> list[SavedDetector]:
    """Fitted detectors, made sure to be of the checkpoint whose paths are to be scored.

    Args:
        checkpoint: Its SHA-256; "" if unknown.
        detectors: As of `score`.

    Raises:
        PathLensError: If there are none, or they belong to another checkpoint.
    """
    if isinstance(detectors, str | Path):
        given = _loaded(Path(detectors), checkpoint)
    else:
        given = list(detectors.values() if isinstance(detectors, Mapping) else detectors)
    if not given:
        raise PathLensError(
            "There is no fitted detector to score with: fit one with `pathlens detect fit`."
        )
    if any(one.checkpoint and one.checkpoint != checkpoint for one in given):
        raise PathLensError(
            "The detectors were fitted on paths of another checkpoint: fit them again."
        )
    return given


def evaluate_recordings(
    clean: str | Path | Recording,
    altered: Sequence[str | Path] | None = None,
    *,
    baselines: Iterable[str | Path] = (),
    detectors: Sequence[str | Detector] | None = None,
    layers: Iterable[LayerSpec] | None = None,
    families: Mapping[str, str] | None = None,
    seed: int = 0,
    seeds: int = 1,
    progress: bool = True,
) -> Evaluation:
    """Hold detectors against the altered images that were recorded for a network.

    Args:
        clean: Recording of clean images.
        altered: Recordings of altered images; those that lie beside the clean one if not given, but
            for attacks that know a detector. These stopped at the threshold of one that was fitted
            before, and an area of the same detector fitted anew would say little of it.
        baselines: Clean recordings of other codes of the same images, each with its altered ones
            beside it; called by the name of their folder.
        detectors: Names, or detectors; all for None.
        layers: Layers that detectors see; all for None.
        families: As of `evaluate`: altered set to its family, where names do not tell it.
        seed: Seed of split, bootstrap and draws.
        seeds: How many splits.
        progress: Whether to show progress bars.

    Raises:
        PathLensError: If there are no altered images, or as `evaluate` says.
    """
    _require_seed(seed)
    source = clean if isinstance(clean, Recording) else open_recording(clean)
    require_clean(source)
    named = None if altered is None else [Path(each) for each in altered]
    sets, notes = _judged(altered_sets(source, named), source, named is not None)
    codes: dict[str, tuple[Recording, Mapping[str, Recording]]] = {}
    for folder in baselines:
        code = open_recording(folder)
        name = code.folder.name
        if name in codes:
            raise PathLensError(
                f"{codes[name][0].folder} and {code.folder} are both called '{name}': rename one of "
                "the folders."
            )
        codes[name] = (code, altered_sets(code).recordings)
    found = evaluate(
        source,
        sets.recordings,
        benign=sets.benign,
        families=families,
        detectors=detectors,
        baselines=codes,
        layers=layers,
        seed=seed,
        seeds=seeds,
        progress=progress,
    )
    return replace(found, left_out=join_notes([*notes, found.left_out]))


def _judged(found: AlteredSets, clean: Recording, named: bool) -> tuple[AlteredSets, list[str]]:
    """The sets that say what a detector is worth, and why others do not."""
    adaptive = [] if named else [label for label in found.recordings if is_adaptive(label)]
    kept = {label: one for label, one in found.recordings.items() if label not in adaptive}
    if not kept:
        raise PathLensError(
            f"All altered recordings beside {clean.folder} are of attacks that know a detector, whose "
            "own success rates say what it is worth: make others, or name these as altered."
        )
    notes = [
        f"{label}, made against one fitted detector and stopped at its threshold; see its own success "
        "rate"
        for label in adaptive
    ]
    return AlteredSets(kept, found.benign), notes


def _require_seed(seed: int) -> None:
    if seed < 0:
        raise PathLensError(f"The seed {seed} is negative: give 0 or more.")


def _wanted(detectors: str | Detector | Sequence[str | Detector]) -> list[Detector]:
    """The detectors to fit, each of which can be written."""
    given = detectors if isinstance(detectors, Sequence) else [detectors]
    named = [detectors] if isinstance(detectors, str) else given
    found = [find_detector(one) if isinstance(one, str) else one for one in named]
    if not found:
        raise PathLensError("Name at least one detector.")
    names = [find_detector(one.name).name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PathLensError(
            f"The detector '{twice[0]}' is asked for twice, and one would replace the other: fit "
            "them one by one, into two folders."
        )
    return found


def _attacked(
    clean: Recording,
    attacked: Iterable[str | Path | Recording],
    layers: list[LayerSpec] | None,
    sources: set[str],
) -> DetectionData | None:
    """Successful attacks on the images that are fitted on, all recordings together."""
    parts = []
    for given in attacked:
        one = given if isinstance(given, Recording) else open_recording(given)
        if one.manifest.get("checkpoint") != clean.manifest.get("checkpoint"):
            raise PathLensError(
                f"{one.folder} was recorded with another checkpoint than {clean.folder}: attack and "
                "record its images again."
            )
        data = detection_data(one, layers)
        if "label" not in data.images or data.images["label"].isna().any():
            raise PathLensError(
                f"{one.folder} does not say the true class of every image, so that nobody knows which "
                "attacks succeeded: record the images in folders by class, as `pathlens detect attack` "
                "does."
            )
        parts.append(successful_attacks(data, sources))
    return joined(parts) if parts else None


def _loaded(place: Path, checkpoint: str) -> list[SavedDetector]:
    """The detectors in a folder, or the one in a file."""
    files = [place] if place.suffix == ".json" else sorted(place.glob("*.json"))
    return [load_detector(path, checkpoint) for path in files]
