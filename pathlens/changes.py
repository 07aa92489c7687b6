"""Which images have changed since they were recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pathlens.datasets import Dataset, ImageSplit, load_dataset
from pathlens.datasets.base import Pixels
from pathlens.datasets.loader import ImageLoader, View
from pathlens.errors import PathLensError
from pathlens.recording.content import CONTENT, content_hash, part_content
from pathlens.recording.faults import naming
from pathlens.recording.manifest import Plan, part_name
from pathlens.recording.reader import Recording

_CHUNK = 64
"""Images that a thread reads before it looks for other work."""


@dataclass(frozen=True)
class ImageChange:
    """One image that is not what it was.

    Attributes:
        image: Its id.
        change: What has changed, in words that follow the id: "has other content".
        part: Number of the part that holds it.
    """

    image: str
    change: str
    part: int


def changed_images(recording: Recording, data: str | Path) -> list[ImageChange]:
    """Compare the images of a recording with those that stand under their ids in a data set now.

    Every image is decoded again; the network does not run.

    Args:
        recording: A recording that `pathlens record` has made.
        data: The data set or image folder that was recorded.

    Returns:
        What has changed, in recorded order; images that are new in the data set are not looked at.

    Raises:
        PathLensError: If the recording holds no hashes of its images, or there is no such data set.
    """
    plan = recording.listing.plan
    dataset = load_dataset(data, seed=int(plan.dataset.get("seed", 0)))
    return changes_in_parts(recording.folder, plan, range(plan.parts), everything(dataset))


def everything(dataset: Dataset) -> ImageSplit:
    """All images of a data set as one split without labels."""
    splits = list(dataset.splits.values())
    places = [(split, position) for split in splits for position in range(len(split))]

    def read(position: int) -> Pixels:
        split, place = places[position]
        return split.read(place)

    ids = tuple(split.ids[position] for split, position in places)
    return ImageSplit("all", ids, None, (), read)


def changes_in_parts(
    folder: Path, plan: Plan, parts: Iterable[int], images: ImageSplit
) -> list[ImageChange]:
    """Compare parts with the images that were recorded in them; one part is in memory at a time.

    Args:
        folder: Folder of the recording, finished or not.
        plan: Its plan.
        parts: Numbers of whole parts.
        images: Where the images are found by their ids.

    Raises:
        PathLensError: If the recording holds no hashes of its images, or a part is damaged.
    """
    if CONTENT not in plan.columns:
        raise PathLensError(
            f"{folder} holds no hashes of its images, so that nobody can tell which have changed: "
            "only recordings that `pathlens record` has made hold them."
        )
    view = View.from_json(dict(plan.transform))
    loader = ImageLoader(images, view, cache_bytes=0)
    positions = {image: position for position, image in enumerate(images.ids)}
    found: list[ImageChange] = []
    for index in parts:
        with naming(folder, part_name(index)):
            recorded = part_content(folder, plan, index)
        found += [
            ImageChange(image, change, index)
            for image, change in _compare(recorded, positions, loader).items()
        ]
    return found


def _compare(
    recorded: Mapping[str, bytes | None], positions: Mapping[str, int], loader: ImageLoader
) -> dict[str, str]:
    there = [image for image in recorded if image in positions]
    chunks = [there[start : start + _CHUNK] for start in range(0, len(there), _CHUNK)]
    now: dict[str, bytes | str] = {}
    with ThreadPoolExecutor(loader.threads) as pool:
        for hashes in pool.map(partial(_hashes, loader, positions), chunks):
            now |= hashes
    changes = {image: _change(recorded[image], now.get(image)) for image in recorded}
    return {image: change for image, change in changes.items() if change is not None}


def _hashes(
    loader: ImageLoader, positions: Mapping[str, int], images: Sequence[str]
) -> dict[str, bytes | str]:
    """The hash of every image, or why it cannot be read."""
    batch = loader.read([positions[image] for image in images])
    ids = loader.split.ids
    read = zip(batch.positions, batch.canvas.numpy(), strict=True)
    found: dict[str, bytes | str] = {ids[i]: content_hash(canvas) for i, canvas in read}
    return found | {ids[i]: reason for i, reason in batch.failed}


def _change(recorded: bytes | None, now: bytes | str | None) -> str | None:
    if now is None:
        return "is no longer there"
    if isinstance(now, str):
        return None if recorded is None else f"cannot be read any more ({now})"
    if recorded is None:
        return "could not be read, and now can"
    return None if recorded == now else "has other content"
