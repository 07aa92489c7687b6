"""Altered images that go through JPEG afterwards, as the clean ones of most data sets did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from pathlens.attacking.alteration import Altered, Clean, Kind, Networks, number, stacked
from pathlens.attacking.benign import Jpeg
from pathlens.attacking.folder import AlteredImages
from pathlens.datasets.base import Pixels, UnreadableImageError
from pathlens.datasets.image_files import read_image
from pathlens.errors import PathLensError


@dataclass(frozen=True)
class Reencoded:
    """The images of a finished folder, encoded as JPEG and decoded again.

    Attributes:
        given: The folder.
        quality: 1 to 95, as libjpeg has it.
    """

    given: AlteredImages
    quality: int = 75
    by_library: ClassVar[bool] = False

    def __post_init__(self) -> None:
        Jpeg(self.quality)

    @property
    def label(self) -> str:
        """That of the folder with "-jpeg", and the quality if it is not 75."""
        return f"{self.given.label}-jpeg" + (
            "" if self.quality == 75 else f"-{number(self.quality)}"
        )

    @property
    def kind(self) -> Kind:
        """That of the folder."""
        return "attack" if self.given.config["kind"] == "attack" else "benign"

    @property
    def norm(self) -> str:
        """The norm that was kept small before encoding."""
        return str(self.given.table["norm"].iloc[0])

    @property
    def epsilon(self) -> float | None:
        """Radius before encoding; encoded images may lie outside."""
        radius = self.given.table["epsilon"].iloc[0]
        return None if np.isnan(radius) else float(radius)

    def to_json(self) -> dict[str, Any]:
        """Plain values: what was encoded, and how."""
        return {"quality": self.quality, "of": dict(self.given.config["settings"])}

    def alter(self, clean: Clean, networks: Networks) -> Altered:
        """See `Alteration.alter`."""
        rows = self.given.table.set_index("source_image").loc[list(clean.ids)]
        size = clean.pixels.shape[-1]
        images = [Jpeg(self.quality).encoded(self._read(name, size)) for name in rows["image"]]
        return Altered(stacked(images), torch.from_numpy(rows["queries"].to_numpy(np.int64).copy()))

    def _read(self, name: str, size: int) -> Pixels:
        try:
            pixels = read_image(self.given.folder / name)
        except UnreadableImageError as error:
            raise PathLensError(
                f"{error}: delete {self.given.folder}, and make it again."
            ) from error
        edge = (pixels.shape[0] - size) // 2
        return np.ascontiguousarray(pixels[edge : edge + size, edge : edge + size])
