"""`adaptive()`: an attack by someone who knows the detector, and how often it fools both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch

from pathlens.analysis.rate_tests import wilson_interval
from pathlens.attacking.adaptive_gradient import AdaptiveGradient
from pathlens.attacking.adaptive_search import AdaptiveSearch
from pathlens.attacking.api import PART_SIZE, alter
from pathlens.attacking.classifier import ImageClassifier, in_unit_range
from pathlens.attacking.folder import AlteredImages
from pathlens.attacking.watching import Watched, fingerprint
from pathlens.datasets.loader import ImageLoader, centre
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.detection.differentiable import torch_score
from pathlens.detection.saving import SavedDetector, load_detector
from pathlens.errors import PathLensError, unknown
from pathlens.files import write_text
from pathlens.recorder import planned_images
from pathlens.runs import Run, find_run
from pathlens.training.evaluation import in_batches
from pathlens.training.loading import LoadedRun, load_run

Form = Literal["sum", "orthogonal", "search"]

OUTCOMES = "adaptive.csv"
"""The table beside `altered.csv`."""


@dataclass(frozen=True)
class AdaptiveImages(AlteredImages):
    """Images that were attacked together with a detector: a folder as of any other attack.

    Attributes:
        outcomes: A row an image, from the files as they are, with hard gates and the detector in
            numpy: `image`, `source_image`, `fooled` (misclassified), `score` (the detector's),
            `threshold`, `flagged` (score above threshold), `evaded` (misclassified and not flagged),
            `used` (whether the detector was fitted on the clean image or has its threshold from it;
            missing where its file does not say).
    """

    outcomes: pd.DataFrame = field(default_factory=pd.DataFrame)

    def summary(self) -> str:
        """One sentence: how many images fool both, its 95 % interval, and the network alone."""
        images = len(self.outcomes)
        evaded, fooled = int(self.outcomes["evaded"].sum()), self.outcomes["fooled"].mean()
        low, high = wilson_interval(evaded, images)
        return (
            f"{self.label}: fools network and detector together on {evaded / images:.1%} "
            f"[{float(low):.1%}, {float(high):.1%}] of {images:,} images (the network alone "
            f"{fooled:.1%}), {self._seen()}."
        )

    def _seen(self) -> str:
        """How many of the images the detector has seen."""
        used = self.outcomes["used"]
        if used.isna().any():
            return "and nothing says which of them the detector was fitted on"
        if not used.any():
            return "none of which the detector has seen"
        return (
            f"{int(used.sum()):,} of which the detector was fitted on or has its threshold from, so "
            "that of others it may be another share"
        )


def adaptive(
    run: str | Path | Run | None,
    detector: str | Path | SavedDetector,
    *,
    epsilon: float,
    form: Form = "sum",
    through: str | Path | SavedDetector | None = None,
    steps: int = 20,
    runs: int = 5,
    queries: int = 1000,
    data: str | Path | None = None,
    split: str | None = None,
    images: int | Iterable[str] | None = None,
    correct_only: bool = True,
    seed: int = 0,
    out: str | Path | None = None,
    gates: str | None = None,
    batch_size: int = 128,
    device: str = "cpu",
    part_size: int = PART_SIZE,
    progress: bool = True,
) -> AdaptiveImages:
    """Attack a run's network and a detector at once, and keep the images as a folder.

    The folder is recorded and evaluated like that of any other attack (`alter`); beside
    `altered.csv` stands `adaptive.csv`, which says of each image whether it fools both. An
    interrupted call goes on after its last finished part.

    Args:
        run: Name or folder of the decoupled run, or None for the newest.
        detector: A fitted detector with a threshold, or the JSON file that holds it.
        epsilon: L-inf radius, of images in [0, 1].
        form: "sum" (a weighted sum of both losses, the weight searched for each image) and
            "orthogonal" (steps along one gradient at right angles to the other) follow gradients;
            "search" asks for scores alone.
        through: Another fitted detector, with a threshold, whose gradient and score are followed
            instead: an attack by transfer, for a detector that has no gradient. An image is done
            once this one is evaded: a lower threshold carries over more often.
        steps: Gradient steps from each start.
        runs: Random starts at most, for an image that does not evade both yet; of form "sum" each has
            another weight of the detector.
        queries: Scores asked for at most, of form "search".
        data: As of `alter`.
        split: As of `alter`.
        images: As of `alter`; where no ids are given, images that neither the detector nor `through`
            has seen (`SavedDetector.used`) are attacked, as far as there are any.
        correct_only: As of `alter`.
        seed: As of `alter`.
        out: Folder to write; `altered/<label>` in the run's folder if not given, the label being
            such as "adaptive-8-likelihood".
        gates: As of `alter`.
        batch_size: Images a forward pass.
        device: "cpu", "cuda", "mps".
        part_size: Images a part.
        progress: Whether to show a progress bar.

    Returns:
        The finished folder with its outcomes.

    Raises:
        PathLensError: If the run is plain, the detector is of another checkpoint, has no threshold,
            or no gradient where one is followed, or as `alter` says.
    """
    loaded = load_run(find_run(with_paths=True) if run is None else run)
    target = _fitting(detector, loaded)
    followed = target if through is None else _fitting(through, loaded)
    attack = _attack(form, target, followed, loaded, epsilon, (steps, runs, queries))
    known = planned_images(loaded, data, split, None).ids
    altered = alter(
        loaded.run,
        attack,
        data=data,
        split=split,
        images=images,
        correct_only=correct_only,
        leave_out=_used(known, target, followed),
        seed=seed,
        out=out,
        gates=gates,
        batch_size=batch_size,
        device=device,
        part_size=part_size,
        progress=progress,
    )
    table = outcomes(loaded, altered, target, batch_size=batch_size, device=device)
    write_text(altered.folder / OUTCOMES, table.to_csv(index=False, lineterminator="\n"))
    return AdaptiveImages(altered.folder, altered.config, altered.table, table)


def outcomes(
    loaded: LoadedRun,
    altered: AlteredImages,
    detector: SavedDetector,
    *,
    batch_size: int = 128,
    device: str = "cpu",
) -> pd.DataFrame:
    """What network and detector say of the images of a folder, whatever attack it is of.

    Args:
        loaded: The run that is to be fooled.
        altered: The folder, which is read anew.
        detector: With a threshold.
        batch_size: Images a forward pass.
        device: Where the network runs.

    Returns:
        The columns of `AdaptiveImages.outcomes`, in the order of `altered.table`.

    Raises:
        PathLensError: If the detector has no threshold, or an image cannot be read any more.
    """
    threshold, view = _threshold(detector), loaded.config.view
    planned = planned_images(loaded, altered.folder, None, None)
    place = {name: row for row, name in enumerate(planned.ids)}
    rows = [place[name] for name in altered.table["image"]]
    loader, classifier = ImageLoader(planned, view), ImageClassifier(loaded.network).to(device)
    assert planned.labels is not None
    predicted, scores = [], []
    watched: Watched | None = None
    for batch in loader.batches(in_batches(rows, batch_size)):
        if batch.failed:
            raise PathLensError(
                f"The image {planned.ids[batch.failed[0][0]]} of {altered.folder} can no longer be "
                "read: delete the folder, and make it again."
            )
        pixels = centre(batch.canvas, view)
        watched = watched or Watched(classifier, in_unit_range(pixels[:1].to(device)))
        verdict = watched.verdict(detector, pixels, batch_size)
        predicted.append(verdict.predicted)
        scores.append(verdict.suspicion)
    fooled = torch.cat(predicted).numpy() != np.asarray(planned.labels)[rows]
    score = np.concatenate(scores)
    frame = altered.table[["image", "source_image"]].reset_index(drop=True)
    flagged = score > threshold
    return frame.assign(
        fooled=fooled,
        score=score,
        threshold=threshold,
        flagged=flagged,
        evaded=fooled & ~flagged,
        used=_used_of(detector, frame["source_image"]),
    )


def _used(ids: Sequence[str], *detectors: SavedDetector) -> list[str]:
    """Those of some images that any of the detectors is known to have seen."""
    found = np.zeros(len(ids), dtype=np.bool_)
    for saved in detectors:
        if saved.used is not None:
            found |= saved.used.holds(ids)
    return [name for name, seen in zip(ids, found, strict=True) if seen]


def _used_of(saved: SavedDetector, ids: pd.Series[str]) -> pd.Series:
    seen = [pd.NA] * len(ids) if saved.used is None else saved.used.holds(ids)
    return pd.Series(seen, dtype="boolean")


def _fitting(given: str | Path | SavedDetector, loaded: LoadedRun) -> SavedDetector:
    """The detector, once it is known to be one of this network."""
    if not isinstance(loaded.network, DecoupledNetwork):
        raise PathLensError(
            f"Run {loaded.run.name} is a plain network and has no paths that a detector could see: "
            "give a decoupled run."
        )
    known = isinstance(given, SavedDetector)
    saved = given if isinstance(given, SavedDetector) else load_detector(given, loaded.checkpoint)
    if known and saved.checkpoint and saved.checkpoint != loaded.checkpoint:
        raise PathLensError(
            f"The detector {saved.detector.name} was fitted on paths of another checkpoint than that "
            f"of run {loaded.run.name}: fit it on a recording of this run."
        )
    _threshold(saved)
    return saved


def _threshold(saved: SavedDetector) -> float:
    if saved.threshold is None or not np.isfinite(saved.threshold):
        raise PathLensError(
            f"The detector {saved.detector.name} has no threshold, so nothing says when it is evaded: "
            "save it with one that clean images fix (SavedDetector(..., threshold=...))."
        )
    return float(saved.threshold)


def _attack(
    form: Form,
    target: SavedDetector,
    followed: SavedDetector,
    loaded: LoadedRun,
    epsilon: float,
    effort: tuple[int, int, int],
) -> AdaptiveGradient | AdaptiveSearch:
    if form not in get_args(Form):
        raise unknown("form", form, list(get_args(Form)))
    steps, runs, queries = effort
    name = target.detector.name
    if followed is not target:
        name += f"-through-{followed.detector.name}"
    known = (followed, epsilon, name, _threshold(followed), fingerprint(followed))
    if form == "search":
        return AdaptiveSearch(*known, queries=queries)
    _require_gradient(form, followed, loaded)
    return AdaptiveGradient(*known, form=form, steps=steps, runs=runs)


def _require_gradient(form: Form, followed: SavedDetector, loaded: LoadedRun) -> None:
    try:
        torch_score(followed.fitted, loaded.network)
    except PathLensError as error:
        raise PathLensError(
            f"The detector {followed.detector.name} has no gradient for form '{form}' to follow: give "
            "through= a fitted detector that has one, such as soft-logistic, or form='search'."
        ) from error
