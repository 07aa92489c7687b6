"""What every probe starts from: a recording with the network and the images it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pathlens.datasets.loader import ImageLoader, centre, normalise
from pathlens.datasets.splits import take
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.decoupling.passing import Force
from pathlens.decoupling.path import Path
from pathlens.errors import PathLensError
from pathlens.recorder import planned_images
from pathlens.recording.manifest import image_fingerprint
from pathlens.recording.reader import Recording, open_recording
from pathlens.training.evaluation import in_batches, scores_of
from pathlens.training.loading import LoadedRun, load_run

Bits = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Subject:
    """A recording whose network can be run again on its images.

    Attributes:
        recording: The recording.
        network: Its network, in eval mode.
        loader: Its images, in the order of its rows.
        labels: int64 (images,), positions in the class names; -1 where no label is known.
    """

    recording: Recording
    network: DecoupledNetwork
    loader: ImageLoader
    labels: Ints

    @property
    def predictions(self) -> Ints:
        """Recorded predictions, int64 (images,)."""
        return self.recording.images["prediction"].to_numpy(dtype=np.int64)

    def gates(self) -> dict[str, Bits]:
        """The recorded paths: layer name to bool (images, filters)."""
        return {layer.name: self.recording.bits(layer.name) for layer in self.recording.layers}

    @torch.inference_mode()
    def run(
        self,
        rows: Ints,
        force: Callable[[slice], Force],
        *,
        device: str = "cpu",
        batch_size: int = 256,
        magnitudes: bool = False,
    ) -> Iterator[tuple[slice, Tensor, Path]]:
        """Run the network on some images with some gates forced.

        Args:
            rows: int64 (n,), rows of the recording.
            force: From a slice of `rows` to the gates forced on those images.
            device: Where to run; the network stays there.
            batch_size: Images a forward pass.
            magnitudes: Whether the paths carry the strength of every filter's ungated output.

        Yields:
            The slice of `rows`, class scores (N, classes) and paths of each batch.

        Raises:
            PathLensError: If an image can no longer be read.
        """
        network = self.network.to(device)
        plan = list(in_batches(rows.tolist(), batch_size))
        start = 0
        for positions, batch in zip(plan, self.loader.batches(plan), strict=True):
            if len(batch.positions) != len(positions):
                raise PathLensError(
                    "An image that was recorded can no longer be read: record the images again."
                )
            places = slice(start, start + len(positions))
            start = places.stop
            x = normalise(centre(batch.canvas, self.loader.view).to(device))
            output, path = network.with_path(
                x, force=force(places), responses=False, magnitudes=magnitudes
            )
            yield places, scores_of(output), path


def open_subject(
    recording: str | FilePath | Recording,
    data: str | FilePath | None,
    *,
    labelled: bool = True,
) -> Subject:
    """Open the run that a recording lies below, and the images that it was made from.

    Args:
        recording: A recording that lies below its run.
        data: Where the images are, if not where the run found them.
        labelled: Whether the labels are needed.

    Raises:
        PathLensError: If the run is gone, has another checkpoint or no gates, or the images are
            others or have no labels although they are needed.
    """
    source = recording if isinstance(recording, Recording) else open_recording(recording)
    loaded = _its_run(source)
    if not isinstance(loaded.network, DecoupledNetwork):
        raise PathLensError(
            f"Run {loaded.run.name} is a plain network, which has no gates to change: give a "
            "recording of a decoupled run."
        )
    if not loaded.network.applied:
        raise PathLensError(
            f"The gates of run {loaded.run.name} were trained beside the network and never applied: "
            "changing them changes nothing; give a recording of a decoupled run."
        )
    if labelled and "label" not in source.images:
        raise PathLensError(f"{source.folder} has no labels: accuracy cannot be measured.")
    return Subject(source, loaded.network, _its_images(source, loaded, data), _labels(source))


def chosen_rows(subject: Subject, images: int | Ints | None, seed: int) -> Ints:
    """Rows of the recording to work with, in ascending order.

    Args:
        subject: The recording.
        images: The rows themselves, or the size of a seeded subset that is as even over the classes as
            can be; None for all.
        seed: Draws the subset.

    Raises:
        PathLensError: If no image is left, or a row does not exist.
    """
    count = len(subject.labels)
    if images is None:
        return np.arange(count, dtype=np.int64)
    if isinstance(images, (int, np.integer)):
        kept = set(take(subject.loader.split, int(images), seed).ids)
        ids = subject.loader.split.ids
        return np.array([row for row in range(count) if ids[row] in kept], dtype=np.int64)
    rows = np.unique(np.asarray(images, dtype=np.int64))
    if not len(rows) or rows[0] < 0 or rows[-1] >= count:
        raise PathLensError(
            f"The rows of images must be some of 0 to {count - 1}: give rows of this recording."
        )
    return rows


def _its_run(source: Recording) -> LoadedRun:
    folder = source.folder.resolve().parent.parent
    loaded = load_run(folder)
    if loaded.checkpoint != source.manifest["checkpoint"]:
        raise PathLensError(
            f"Run {loaded.run.name} has another checkpoint than the recording {source.folder}: it "
            "was trained since; record it again."
        )
    return loaded


def _labels(source: Recording) -> Ints:
    if "label" not in source.images:
        return np.full(len(source), -1, dtype=np.int64)
    return source.images["label"].to_numpy(dtype=np.int64)


def _its_images(source: Recording, loaded: LoadedRun, data: str | FilePath | None) -> ImageLoader:
    origin = source.manifest["dataset"]
    images = planned_images(loaded, data, origin["split"], origin["limit"])
    if image_fingerprint(images.ids, images.labels) != source.manifest["fingerprint"]:
        raise PathLensError(
            f"The images of {source.folder} are not those of '{data or loaded.config.data}': give "
            "the data they were recorded from."
        )
    position = {image: i for i, image in enumerate(images.ids)}
    kept = [position[image] for image in source.images["image"]]
    return ImageLoader(images.subset(kept), loaded.config.view)
