"""The plan of a recording: all that is known of it before its first image is seen.

A plan holds no time and no path of the machine, so that an interrupted and resumed recording has
the same bytes as an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerTable
from pathlens.recording.further import FurtherColumn, read_further

FORMAT = "pathlens-recording"
FORMAT_VERSION = 1

MANIFEST = "recording.json"
MARKER = "recording.partial.json"
LOCK = "recording.lock"
SKIPPED = "skipped.csv"
CONCEPTS = "concepts.csv"

DEFAULT_PART_SIZE = 4096
"""Images a part: a few megabytes, so that little is lost with a part and few files are opened."""

IMAGE_COLUMNS = ("image", "label", "prediction", "confidence", "macs", "group", "content")
"""All columns about an image, in the order in which they stand in a part."""

AGAIN = (
    "run the same `pathlens record` command (or `write_recording` call) again: "
    "it re-makes only what is broken"
)
"""The remedy for whatever is broken in a recording."""

_DIFFERENCE = {
    "checkpoint": "another checkpoint",
    "model": "another model",
    "run": "another run",
    "dataset": "another dataset, split, limit or seed",
    "transform": "another transform",
    "layers": "other layers",
    "classes": "other classes",
    "planned_images": "another number of images",
    "fingerprint": "other images or labels",
    "part_size": "another part size",
    "columns": "other columns",
    "thumbnails": "another choice of thumbnails",
    "macs_dense": "another dense cost",
    "extra": "other settings",
}


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be recorded; two recordings of equal plans are the same recording.

    Attributes:
        checkpoint: SHA-256 of the checkpoint, hexadecimal; "" where the paths have none.
        model: Name of the model.
        layers: The gated layers.
        images: Number of images planned, unreadable ones included.
        fingerprint: `image_fingerprint` of their ids and labels, in planned order.
        part_size: Images of a part; the last one may hold fewer.
        columns: Columns about an image that are known: "image" and some of `IMAGE_COLUMNS`.
        thumbnails: Whether small pictures are recorded beside the parts.
        run: Name of the run, if there is one.
        dataset: Name, split, limit and seed of the images.
        transform: How an image was made into the network's input.
        classes: Class names; empty if unknown.
        macs_dense: Multiply-adds of the plain network for one image, if known.
        extra: Anything else, in plain JSON values; `further_columns` lists optional columns.
    """

    checkpoint: str
    model: str
    layers: LayerTable
    images: int
    fingerprint: str
    part_size: int = DEFAULT_PART_SIZE
    columns: Sequence[str] = ("image",)
    thumbnails: bool = False
    run: str | None = None
    dataset: Mapping[str, Any] = field(default_factory=dict)
    transform: Mapping[str, Any] = field(default_factory=dict)
    classes: Sequence[str] = ()
    macs_dense: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.images < 1:
            raise PathLensError("There are no images to record: choose another split or folder.")
        if self.part_size < 1:
            raise PathLensError(f"A part holds at least 1 image, not {self.part_size}.")
        if not len(self.layers):
            raise PathLensError("There are no layers to record: give at least one.")
        known = [name for name in IMAGE_COLUMNS if name in self.columns]
        if "image" not in known or len(known) != len(self.columns):
            raise ValueError(f"columns must be 'image' and some of {IMAGE_COLUMNS}")
        names = [*known, *(column.name for column in self.further)]
        if len(set(names)) != len(names):
            raise ValueError(f"two columns have the same name: {names}")
        object.__setattr__(self, "columns", tuple(known))
        object.__setattr__(self, "classes", tuple(self.classes))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; the fields of the file `recording.partial.json`."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "checkpoint": self.checkpoint,
            "model": self.model,
            "run": self.run,
            "dataset": dict(self.dataset),
            "transform": dict(self.transform),
            "layers": [layer.to_json() for layer in self.layers],
            "classes": list(self.classes),
            "planned_images": self.images,
            "fingerprint": self.fingerprint,
            "part_size": self.part_size,
            "columns": list(self.columns),
            "thumbnails": self.thumbnails,
            "macs_dense": self.macs_dense,
            "extra": dict(self.extra),
        }

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> Plan:
        """The inverse of `to_json`; other keys, as those of `recording.json`, are ignored.

        Raises:
            KeyError: If a field is missing.
        """
        return Plan(
            checkpoint=entry["checkpoint"],
            model=entry["model"],
            layers=LayerTable(Layer.from_json(layer) for layer in entry["layers"]),
            images=entry["planned_images"],
            fingerprint=entry["fingerprint"],
            part_size=entry["part_size"],
            columns=entry["columns"],
            thumbnails=entry["thumbnails"],
            run=entry["run"],
            dataset=entry["dataset"],
            transform=entry["transform"],
            classes=entry["classes"],
            macs_dense=entry["macs_dense"],
            extra=entry["extra"],
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the plan as JSON with sorted keys and no spaces, in UTF-8."""
        return hashlib.sha256(_canonical(self.to_json()).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def differences(self, other: Plan) -> list[str]:
        """How `other` differs, in words ("another checkpoint"); empty if it is equal."""
        mine, theirs = self.to_json(), other.to_json()
        return [
            words
            for name, words in _DIFFERENCE.items()
            if _canonical(mine[name]) != _canonical(theirs[name])
        ]

    @cached_property
    def further(self) -> tuple[FurtherColumn, ...]:
        """The optional columns, in the order in which they stand in a part."""
        return read_further(self.extra)

    @property
    def about_images(self) -> tuple[str, ...]:
        """All columns about an image: `columns`, then the optional ones of text."""
        return (*self.columns, *(column.name for column in self.further if column.is_text))

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-self.images // self.part_size)

    def part_range(self, index: int) -> range:
        """Planned positions of the images of part `index`.

        Raises:
            IndexError: If there is no such part.
        """
        if not 0 <= index < self.parts:
            raise IndexError(f"part {index} of {self.parts}")
        return range(index * self.part_size, min((index + 1) * self.part_size, self.images))


def part_name(index: int) -> str:
    """File name of the part `index`."""
    return f"part-{index:05d}.parquet"


def thumbnails_name(index: int) -> str:
    """File name of the thumbnails of the part `index`."""
    return f"thumbnails-{index:05d}.parquet"


def image_fingerprint(
    ids: Sequence[str], labels: Sequence[int] | npt.NDArray[np.int64] | None = None
) -> str:
    r"""SHA-256 over the images in planned order: id, a zero byte, label or nothing, a newline.

    Args:
        ids: Image ids (images,).
        labels: Labels (images,), positions in the classes; None if unknown.

    Raises:
        PathLensError: If an id occurs twice.
    """
    known: set[str] = set()
    digest = hashlib.sha256()
    shown = [""] * len(ids) if labels is None else [str(int(label)) for label in labels]
    for image, label in zip(ids, shown, strict=True):
        if image in known:
            raise PathLensError(
                f"The image id '{image}' occurs twice: give every image its own id."
            )
        known.add(image)
        digest.update(f"{image}\0{label}\n".encode())
    return digest.hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
