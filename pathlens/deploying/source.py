"""A run with its recording, and with its images where they are still there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pathlens.analysis.results import plural
from pathlens.datasets.loader import centre, normalise
from pathlens.decoupling import DecoupledNetwork
from pathlens.errors import PathLensError
from pathlens.probing.subject import Ints, Subject, open_subject
from pathlens.recorder import planned_images
from pathlens.recording import Recording, open_recording
from pathlens.runs import Run, recordings_of
from pathlens.training.evaluation import in_batches
from pathlens.training.loading import LoadedRun, load_run


@dataclass(frozen=True)
class Source:
    """A decoupled run that can be cut or timed.

    Attributes:
        loaded: The run.
        network: Its network, in eval mode.
    """

    loaded: LoadedRun
    network: DecoupledNetwork

    @property
    def size(self) -> int:
        """Height and width of its pictures, in pixels."""
        return self.loaded.config.view.size


def open_source(run: str | Path | Run | None) -> Source:
    """Load a decoupled run whose gates are applied.

    Raises:
        PathLensError: If there is no such run, it is a plain one, or its gates were never applied.
    """
    loaded = load_run(run)
    network, name = loaded.network, loaded.run.name
    if not isinstance(network, DecoupledNetwork):
        raise PathLensError(
            f"Run {name} is a plain network, which has no paths: give a decoupled run."
        )
    if not network.applied:
        raise PathLensError(
            f"The gates of run {name} were trained beside the network and never applied, so that no "
            "filter can be left out: give a decoupled run."
        )
    return Source(loaded, network)


def recording_of(source: Source, spec: str | Path | None) -> Recording:
    """The recording at `spec`, or the newest of the run whose images were not altered.

    Raises:
        PathLensError: If there is none, or it is of another run or another checkpoint.
    """
    run = source.loaded.run
    if spec is None:
        found = recordings_of(run)
        if not found:
            raise PathLensError(
                f"Run {run.name} has no finished recording: make one with `pathlens record {run.name}`."
            )
        spec = found[0]
    recording = open_recording(spec)
    if recording.manifest["checkpoint"] != source.loaded.checkpoint:
        raise PathLensError(
            f"{recording.folder} is a recording of another run or checkpoint than {run.name}: give one "
            f"of this run, or make one with `pathlens record {run.name}`."
        )
    return recording


def subject_of(recording: Recording, data: str | Path | None) -> Subject | str:
    """The recording with its images, or the sentence that says why they are not to be had."""
    try:
        return open_subject(recording, data, labelled=False)
    except PathLensError as error:
        return str(error)


def pictures(subject: Subject, rows: Ints) -> Tensor:
    """What the network takes for some rows of a recording, (N, 3, size, size).

    Raises:
        PathLensError: If an image can no longer be read.
    """
    parts = []
    for batch in subject.loader.batches(in_batches(rows.tolist(), 64)):
        if batch.failed:
            raise PathLensError(
                "An image that was recorded can no longer be read: record the images again."
            )
        parts.append(normalise(centre(batch.canvas, subject.loader.view)))
    return torch.cat(parts)


def images_of(source: Source, data: str | Path | None, count: int) -> tuple[Tensor, str]:
    """Images of the run's test split, or noise where there are none, and a sentence on which.

    Args:
        source: The run.
        data: Where the images are, if not where the run found them.
        count: How many, at least; few images are repeated.
    """
    from pathlens.datasets.loader import ImageLoader

    try:
        split = planned_images(source.loaded, data, None, count)
        batch = ImageLoader(split, source.loaded.config.view).read(range(len(split)))
    except PathLensError as error:
        if data is not None:
            raise
        return noise(
            source, count
        ), f"The images are noise, whose paths are none of real images: {error}"
    if not len(batch.positions):
        return noise(source, count), "The images are noise: none of the run's images could be read."
    x = normalise(centre(batch.canvas, source.loaded.config.view))
    again = -(-count // len(x))
    return (
        x.repeat(again, 1, 1, 1)[:count],
        f"{plural(len(x), 'image')} of {data or source.loaded.config.data} ({split.name}).",
    )


def noise(source: Source, count: int) -> Tensor:
    """Images of noise, (N, 3, size, size), always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, source.size, source.size, generator=generator)
