"""Which image is meant: a picture file, or one of the recording by id or position."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pathlens.analysis.source import codes_of
from pathlens.datasets.base import ImageSplit, Pixels, UnreadableImageError
from pathlens.datasets.image_files import read_image
from pathlens.datasets.loader import centre, normalise, to_canvas
from pathlens.errors import PathLensError, unknown
from pathlens.recorder import planned_images
from pathlens.recording.content import CONTENT, content_hash, part_content
from pathlens.recording.faults import naming
from pathlens.recording.manifest import part_name
from pathlens.recording.reader import Recording
from pathlens.training.loading import LoadedRun

ImageSpec = str | Path | int
"""A picture file, or an image of the recording: its id, or its position from 0."""


@dataclass(frozen=True)
class ChosenImage:
    """One image as the network sees it in evaluation.

    Attributes:
        name: Id in the recording, else the path of the file.
        x: Normalised, float32 (1, 3, size, size).
        picture: The same as uint8 (size, size, 3).
        position: Position in the recording; None if it is not there.
        label: Position of the true class; None if unknown.
    """

    name: str
    x: Tensor = field(repr=False)
    picture: Pixels = field(repr=False)
    position: int | None
    label: int | None


class ImageChooser:
    """Finds images for one run, and perhaps one of its recordings.

    Args:
        loaded: The run, whose view pictures go through.
        recording: A recording of it, or None.
        data: Where the recorded images are, if not where the run found them.
    """

    def __init__(
        self, loaded: LoadedRun, recording: Recording | None, data: str | Path | None
    ) -> None:
        self.loaded = loaded
        self.recording = recording
        self.data = data

    def choose(self, image: ImageSpec) -> ChosenImage:
        """The image that is meant; a file stands before an id.

        Raises:
            PathLensError: If there is none, it cannot be read, or is not what was recorded.
        """
        if not isinstance(image, int) and Path(image).is_file():
            return self._of_file(Path(image))
        return self._of_recording(image)

    def _of_file(self, path: Path) -> ChosenImage:
        try:
            pixels = read_image(path)
        except UnreadableImageError as error:
            raise PathLensError(
                f"{error} (it cannot be read as an image): give a whole picture, PNG or JPEG, say."
            ) from error
        canvas = self._canvas(pixels)
        position = self._contents.get(content_hash(canvas.numpy()))
        return self._seen(canvas, str(path), position)

    def _of_recording(self, image: ImageSpec) -> ChosenImage:
        position = self._position(image)
        assert self.recording is not None
        name = str(self.recording.images["image"].iloc[position])
        if name not in self._places:
            raise self._moved(name)
        try:
            canvas = self._canvas(self._split.read(self._places[name]))
        except UnreadableImageError as error:
            raise PathLensError(
                f"The recorded image {name} can no longer be read: {error}."
            ) from error
        recorded = self._hashes.get(name)
        if recorded is not None and recorded != content_hash(canvas.numpy()):
            raise self._moved(name)
        return self._seen(canvas, name, position)

    def _position(self, image: ImageSpec) -> int:
        if Path(str(image)).is_dir():
            raise PathLensError(f"{image} is a folder: give picture files, one or several.")
        if self.recording is None:
            raise PathLensError(
                f"There is no image file {image}, and run {self.loaded.run.name} has no recording in "
                "which it could be an id: check the path."
            )
        ids = self.recording.images["image"]
        found = (ids == str(image)).to_numpy().nonzero()[0]
        if len(found):
            return int(found[0])
        text = str(image)
        if text.isdigit() and int(text) < len(ids):
            return int(text)
        if text.lstrip("-").isdigit():
            raise PathLensError(
                f"There is no image {text}: the recording has positions 0 to {len(ids) - 1}."
            )
        raise unknown("image (neither a file nor an id of the recording)", str(image), ids)

    def _seen(self, canvas: Tensor, name: str, position: int | None) -> ChosenImage:
        middle = centre(canvas[None], self.loaded.config.view)
        label = None
        if self.recording is not None and position is not None:
            name = str(self.recording.images["image"].iloc[position])
            known = int(codes_of(self.recording, "label", np.array([position]))[0])
            label = known if known >= 0 else None
        picture = middle[0].permute(1, 2, 0).contiguous().numpy()
        return ChosenImage(name, normalise(middle), picture, position, label)

    def _canvas(self, pixels: Pixels) -> Tensor:
        square = torch.from_numpy(to_canvas(pixels, self.loaded.config.view.canvas))
        return square.permute(2, 0, 1).contiguous()

    @cached_property
    def _hashes(self) -> dict[str, bytes | None]:
        """Id of every recorded image to the hash of its pixels, where those were recorded."""
        if self.recording is None or CONTENT not in self.recording.listing.plan.columns:
            return {}
        plan = self.recording.listing.plan
        hashes: dict[str, bytes | None] = {}
        for part in range(plan.parts):
            with naming(self.recording.folder, part_name(part)):
                hashes |= part_content(self.recording.folder, plan, part)
        return hashes

    @cached_property
    def _contents(self) -> dict[bytes, int]:
        """Hash of pixels to the position of the first recorded image that has them."""
        if self.recording is None:
            return {}
        places = {image: i for i, image in enumerate(self.recording.images["image"])}
        found: dict[bytes, int] = {}
        for image, content in self._hashes.items():
            if content is not None:
                found.setdefault(content, places[image])
        return found

    @cached_property
    def _split(self) -> ImageSplit:
        assert self.recording is not None
        origin = self.recording.manifest["dataset"]
        return planned_images(self.loaded, self.data, origin.get("split"), origin.get("limit"))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {image: i for i, image in enumerate(self._split.ids)}

    def _moved(self, name: str) -> PathLensError:
        where = self.data or self.loaded.config.data
        return PathLensError(
            f"Image {name} of '{where}' is not the one that was recorded: give the data it was "
            "recorded from (--data), or the picture's own file."
        )
