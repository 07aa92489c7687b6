"""`cut()` of a run: which filters stay follows from its recorded paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from pathlens.analysis.results import plural
from pathlens.decoupling.passing import Force
from pathlens.deploying.source import (
    Source,
    noise,
    open_source,
    pictures,
    recording_of,
    subject_of,
)
from pathlens.errors import PathLensError, unknown
from pathlens.probing.subject import Ints, Subject
from pathlens.progress import progress_bar
from pathlens.recording import Recording
from pathlens.runs import Run
from pathlens.skipping import Cut, Saved, check_ending, relative_error
from pathlens.skipping import cut as cut_network
from pathlens.training.evaluation import scores_of

_CHECKED = 4
"""Images that files are checked with."""

_FEW = " (few: other images may need filters that these do not use)"


@dataclass(frozen=True)
class Accuracy:
    """The cut network beside the one that decides its paths, on the same recorded images.

    Attributes:
        images: Number of images.
        cut: Share that the cut network gets right, of all classes.
        own: Share that the network with its own paths gets right, as recorded.
        agreement: Share on which both answer the same.
        error: Difference of the cut network from the masked one with the same filters forced, over
            the largest score.
    """

    images: int
    cut: float
    own: float
    agreement: float
    error: float


@dataclass(frozen=True, eq=False)
class CutRun:
    """A run's network cut down to some of its filters.

    Attributes:
        cut: The network; `.save(FILE, images)`.
        frame: A row a gated layer: `layer` (number), `name`, `filters`, `kept`, `share`, `numbers`
            (those kept, from 0), and `least_rate`, the smallest share of the images that one of them
            is on for.
        recorded: Number of recorded images whose paths were counted.
        accuracy: On recorded images; None if it could not be measured.
        images: What files are checked with, (N, 3, height, width).
        left_out: What could not be done and why, or the empty string.
        saved: The files written.
    """

    cut: Cut
    frame: pd.DataFrame = field(repr=False)
    recorded: int
    accuracy: Accuracy | None
    images: Tensor = field(repr=False)
    left_out: str
    saved: tuple[Saved, ...] = ()

    @property
    def module(self) -> nn.Module:
        """The network: a plain module, without gating and without PathLens."""
        return self.cut.module

    def summary(self) -> str:
        """What is left, in one or two sentences."""
        kept, filters = int(self.frame["kept"].sum()), int(self.frame["filters"].sum())
        text = (
            f"{kept:,} of {filters:,} gated filters ({kept / filters:.0%}) stay, chosen on "
            f"{plural(self.recorded, 'recorded image')}{_FEW if self.recorded < 100 else ''}; "
            f"{self.cut.macs:,} MACs an image instead of {self.cut.dense_macs:,} "
            f"({self.cut.macs / self.cut.dense_macs:.1%})."
        )
        found = self.accuracy
        if found is None:
            return text
        return (
            f"{text} On {plural(found.images, 'recorded image')} the cut network is right on "
            f"{found.cut:.1%}, the network with its own paths on {found.own:.1%}; they agree "
            f"on {found.agreement:.1%}."
        )


def cut(
    run: str | Path | Run | None = None,
    *,
    classes: Sequence[str] = (),
    threshold: float | None = None,
    recording: str | Path | None = None,
    data: str | Path | None = None,
    out: Sequence[str | Path] = (),
    images: int = 300,
    seed: int = 0,
    progress: bool = True,
) -> CutRun:
    """Cut the network of a run down to the filters that some images use.

    Args:
        run: Name or folder of a decoupled run; the newest for None.
        classes: Filters stay that images of these classes use, by their labels, or by predictions
            where there are no labels; all images for none.
        threshold: Filters stay that are on for at least this share of those images, above 0 and at
            most 1; None, with classes, for all that are on for any.
        recording: Recording of this run; its newest for None.
        data: Where the recorded images are, if not where the run found them.
        out: Files to write, .pt2 or .onnx; each is checked.
        images: Recorded images to measure accuracy on, a class-balanced subset of those chosen from;
            0 for none.
        seed: Draws that subset.
        progress: Whether to show it.

    Raises:
        PathLensError: If a class is unknown, nothing says which filters stay, the recording is of
            another run, a layer is left without filters, or a file cannot be written.
    """
    _check(classes, threshold)
    for file in out:
        check_ending(file)
    source = open_source(run)
    recorded = recording_of(source, recording)
    rows = _rows(recorded, classes)
    rates = {layer.name: recorded.bits(layer.name)[rows].mean(axis=0) for layer in recorded.layers}
    gates: dict[int | str, Any] = {
        name: torch.from_numpy(rate > 0 if threshold is None else rate >= threshold).float()
        for name, rate in rates.items()
    }
    subject = subject_of(recorded, data)
    left_out = subject if isinstance(subject, str) else ""
    if isinstance(subject, str):
        checked = noise(source, _CHECKED)
        left_out = f"Accuracy was not measured, and files were checked with noise: {subject}"
    else:
        checked = pictures(subject, rows[:_CHECKED])
    if len(checked) < 2:
        checked = checked.repeat(2, 1, 1, 1)
    with progress_bar(desc="cut", total=1 + len(out), unit=" steps", shown=progress) as bar:
        made = cut_network(source.network, gates, checked)
        bar.update()
        accuracy = None
        if not isinstance(subject, str) and images:
            accuracy = _accuracy(made, source, subject, gates, _drawn(subject, rows, images, seed))
        saved = []
        for file in out:
            saved.append(made.save(file, checked))
            bar.update()
    least = [float(rates[name][gates[name].numpy() > 0].min()) for name in made.frame["name"]]
    return CutRun(
        cut=made,
        frame=made.frame.assign(least_rate=least),
        recorded=len(rows),
        accuracy=accuracy,
        images=checked,
        left_out=left_out,
        saved=tuple(saved),
    )


def _check(classes: Sequence[str], threshold: float | None) -> None:
    if threshold is None and not classes:
        raise PathLensError(
            "Nothing says which filters stay: give classes (--class cat,dog), the least share of images "
            "that a filter is on for (--threshold 0.01), or both."
        )
    if threshold is not None and not 0 < threshold <= 1:
        raise PathLensError(
            f"The threshold {threshold:g} is no share of images: give one above 0 and at most 1."
        )


def _labels(recording: Recording) -> Ints:
    """Labels of the recorded images, or predictions where none are known."""
    images = recording.images
    for column in ("label", "prediction"):
        if column in images and bool((images[column] >= 0).any()):
            return images[column].to_numpy(dtype=np.int64)
    raise PathLensError(
        f"{recording.folder} has neither labels nor predictions: give --threshold instead of --class."
    )


def _rows(recording: Recording, classes: Sequence[str]) -> Ints:
    """Rows of the images whose filters stay."""
    if not classes:
        return np.arange(len(recording), dtype=np.int64)
    known = list(recording.classes)
    for name in classes:
        if name not in known:
            raise unknown("class", name, known)
    chosen = [known.index(name) for name in classes]
    rows = np.flatnonzero(np.isin(_labels(recording), chosen)).astype(np.int64)
    if not len(rows):
        raise PathLensError(
            f"{recording.folder} has no image of {', '.join(classes)}: record some, or choose other "
            "classes."
        )
    return rows


def _drawn(subject: Subject, rows: Ints, images: int, seed: int) -> Ints:
    """Some of the rows, as even over the classes as can be."""
    from pathlens.datasets.splits import take

    if images >= len(rows):
        return rows
    split = subject.loader.split.subset(rows)
    kept = set(take(split, images, seed).ids)
    return np.array([row for row, name in zip(rows, split.ids, strict=True) if name in kept])


@torch.inference_mode()
def _accuracy(
    made: Cut, source: Source, subject: Subject, gates: Force, rows: Ints
) -> Accuracy | None:
    labels, own = subject.labels[rows], subject.predictions[rows]
    known = labels >= 0
    if not known.any():
        return None
    x = pictures(subject, rows)
    answers = [scores_of(made.module(x[i : i + 64])).argmax(dim=1) for i in range(0, len(x), 64)]
    found = torch.cat(answers).numpy()
    few = x[:8]
    forced = source.network.with_path(few, force=gates, responses=False)[0]
    return Accuracy(
        images=int(known.sum()),
        cut=float((found == labels)[known].mean()),
        own=float((own == labels)[known].mean()),
        agreement=float((found == own)[known].mean()),
        error=relative_error(made.module(few), forced),
    )
