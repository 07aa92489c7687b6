"""The folder of altered images: what is in it, how it is begun, resumed and finished.

An image stands at `test/<true class>/<number>.png`, the number being the source image's position in
its split. It has the size of the run's canvas: its middle is what was altered and what the network
sees, the margin around it (where the run's view has one) is the clean image's. So recording the
folder with the same run shows the network exactly the altered pixels.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor

from pathlens.errors import PathLensError
from pathlens.files import read_json, write_bytes, write_json, write_text
from pathlens.lock import FolderLock

CONTENT = "altered.json"
TABLE = "altered.csv"
GROUPS = "groups.csv"

COLUMNS = (
    "image",
    "source_image",
    "attack",
    "kind",
    "epsilon",
    "norm",
    "success",
    "clean_correct",
    "linf",
    "l2",
    "queries",
    "seed",
)
"""Columns of `altered.csv`."""

_PARTS = ".parts"
_PLAN = "plan.json"
_LOCK = ".lock"
_NOT_ASKED_FOR = ("versions", "clean_accuracy")
"""What a plan says of how it was carried out; another device may round otherwise."""


@dataclass(frozen=True)
class AlteredImages:
    """A finished folder of altered images.

    Attributes:
        folder: Where it is; record it with `pathlens.record(run, data=folder)`.
        config: What was asked for and of which network: `altered.json`.
        table: A row an image, with the columns of `COLUMNS`: `image` (id within the folder),
            `source_image` (id of the clean image in the run's data), `attack` (the folder's label,
            also of benign controls), `kind` ("attack" or "benign"), `epsilon` (radius, of images in
            [0, 1]; empty without bound), `norm` ("linf", "l2" or empty), `success` (the 8-bit image
            is misclassified with hard gates), `clean_correct`, `linf` and `l2` (distance from the
            clean image, of images in [0, 1]), `queries` (forward passes, at most), `seed`.
    """

    folder: Path
    config: Mapping[str, Any]
    table: pd.DataFrame

    @property
    def label(self) -> str:
        """Name of the attack or control in tables."""
        return str(self.config["label"])

    def summary(self) -> str:
        """One sentence with the number of images, the share misclassified and the mean L2 change."""
        return (
            f"{self.label}: {len(self.table):,} images, {self.table['success'].mean():.1%} of them "
            f"misclassified, mean L2 change {self.table['l2'].mean():.3f}."
        )


def open_altered(folder: str | Path) -> AlteredImages:
    """Open a finished folder of altered images.

    Raises:
        PathLensError: If it is none, or is not finished.
    """
    place = Path(folder)
    if not (place / CONTENT).is_file():
        raise PathLensError(
            f"{place} holds no finished altered images ({CONTENT} is missing): make them with `alter`, "
            "or run the same command again if it was interrupted."
        )
    try:
        table = pd.read_csv(
            place / TABLE,
            dtype={"image": str, "source_image": str, "attack": str, "norm": str},
            keep_default_na=False,
            na_values={"epsilon": [""]},
        )
    except (OSError, ValueError) as error:
        raise PathLensError(
            f"{place / TABLE} cannot be read: delete the folder, and make it again."
        ) from error
    return AlteredImages(place, read_json(place / CONTENT), table)


class AlteredFolder:
    """Writes altered images part by part; locked until `close`.

    Args:
        folder: Where to write.
        plan: All that decides what is in it; the same plan goes on where it stopped.
        parts: Number of parts.

    Raises:
        PathLensError: If another process writes it, or it holds something else.
    """

    def __init__(self, folder: Path, plan: Mapping[str, Any], parts: int) -> None:
        self.folder = folder
        self.plan = plan
        self.parts = parts
        _refuse_strangers(folder)
        (folder / _PARTS).mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(folder / _LOCK, option="out")
        try:
            self._agree()
        except BaseException:
            self.close()
            raise

    def _agree(self) -> None:
        begun = self.folder / _PARTS / _PLAN
        known = next((path for path in (self.folder / CONTENT, begun) if path.is_file()), None)
        if known is None:
            write_json(begun, self.plan)
            return
        earlier = read_json(known)
        asked = [key for key in self.plan if key not in _NOT_ASKED_FOR]
        other = [key for key in asked if earlier.get(key) != self.plan[key]]
        if other:
            raise PathLensError(
                f"{self.folder} holds images that were altered otherwise (other {', '.join(other)}): "
                "give another out, or delete the folder."
            )

    def missing(self) -> list[int]:
        """Parts that are not made yet; none if the folder is finished."""
        if (self.folder / CONTENT).is_file():
            return []
        return [part for part in range(self.parts) if not self._rows(part).is_file()]

    def write_part(self, part: int, rows: pd.DataFrame, canvases: Tensor) -> None:
        """Write the images of a part, then its rows, whose presence says that it is whole.

        Args:
            part: Its number.
            rows: Columns `COLUMNS`.
            canvases: uint8 (rows, 3, canvas, canvas).
        """
        for name, canvas in zip(rows["image"], canvases, strict=True):
            write_bytes(self.folder / str(name), _png(canvas))
        write_text(self._rows(part), rows.to_csv(index=False, lineterminator="\n"))

    def finish(self) -> AlteredImages:
        """Write the tables and, last, `altered.json`."""
        if not (self.folder / CONTENT).is_file():
            texts = [self._rows(part).read_text(encoding="utf-8") for part in range(self.parts)]
            header = texts[0].split("\n", 1)[0] + "\n"
            write_text(
                self.folder / TABLE, header + "".join(text.split("\n", 1)[1] for text in texts)
            )
            self._write_groups()
            write_json(self.folder / CONTENT, self.plan)
        shutil.rmtree(self.folder / _PARTS, ignore_errors=True)
        return open_altered(self.folder)

    def _write_groups(self) -> None:
        table = pd.read_csv(self.folder / TABLE, dtype=str, keep_default_na=False)
        groups = table[["image", "source_image", "attack"]].copy()
        groups.insert(1, "group", groups["source_image"])
        write_text(self.folder / GROUPS, groups.to_csv(index=False, lineterminator="\n"))

    def _rows(self, part: int) -> Path:
        return self.folder / _PARTS / f"part-{part:05d}.csv"

    def close(self) -> None:
        """Let another process write; a second call does nothing."""
        self._lock.release()


def image_names(
    classes: Sequence[str], labels: Sequence[int], positions: Sequence[int]
) -> list[str]:
    """Ids within the folder, from true classes and positions in the source split.

    Raises:
        PathLensError: If a class's name cannot be a folder's.
    """
    for label in sorted(set(labels)):
        name = classes[label]
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise PathLensError(
                f"The class name {name!r} cannot be the name of a folder: rename the class in the "
                "training data, and train again."
            )
    return [
        f"test/{classes[label]}/{position:06d}.png"
        for label, position in zip(labels, positions, strict=True)
    ]


def _png(canvas: Tensor) -> bytes:
    buffer = io.BytesIO()
    pixels = np.ascontiguousarray(canvas.permute(1, 2, 0).numpy())
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _refuse_strangers(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise PathLensError(f"{folder} is a file: give the name of a folder.")
    ours = [folder / CONTENT, folder / _PARTS]
    if folder.is_dir() and any(folder.iterdir()) and not any(path.exists() for path in ours):
        raise PathLensError(
            f"{folder} holds other files than altered images: give another out, or an empty folder."
        )
