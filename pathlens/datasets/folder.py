"""A folder of images as a data set: what its layout says about splits and classes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from pathlens.datasets.base import ImageSplit
from pathlens.datasets.image_files import (
    IMAGE_SUFFIXES,
    find_images,
    list_folder,
    read_image,
    shared_size,
)
from pathlens.datasets.pools import Pools, split_pool
from pathlens.errors import PathLensError

_TEST_FOLDERS = ("test", "val")
_SUFFIX_LIST = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))


def load_folder(root: Path, seed: int = 0) -> Pools:
    """Load an image folder in one of four layouts.

    - `train/` with `test/` or `val/`, each with a folder a class: `test/` is the test set, or
      `val/` where there is no `test/` with class folders.
    - `test/` alone, with a folder a class: test images of a network that was trained elsewhere, of
      one class or more, for recording only.
    - a folder a class: 20 % of each class become the test set, by seed.
    - images without class folders: one split of images without labels, for recording only.

    Classes are the names of the class folders in sorted order; an image belongs to the class in
    whose folder it lies, at any depth. Ids are paths relative to `root`, with "/". Hidden files and
    files whose names do not end as an image's are not looked at.

    Args:
        root: The folder.
        seed: Decides which images are test images where the folder does not.

    Raises:
        PathLensError: If the folder does not exist, is empty, has only one class, has a class
            without images, or has test images of a class without training images.
    """
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise PathLensError(f"The image folder {root} {what}: give a folder that holds images.")
    folders, images = list_folder(root)
    if "train" in folders and list_folder(root / "train")[0]:
        return _divided(root, folders)
    if folders == ["test"] and list_folder(root / "test")[0]:
        test = _labelled(root, "test/", "test", tuple(list_folder(root / "test")[0]))
        return Pools(test.subset([], "train"), test, _native_size(root, test))
    if folders:
        pool = _labelled(root, "", "train")
        return split_pool(pool, _native_size(root, pool), seed)
    if images:
        pool = _split(root, "all", images, None, ())
        return Pools(pool, None, _native_size(root, pool))
    raise PathLensError(f"{root} holds no images ({_SUFFIX_LIST}) and no class folders.")


def _divided(root: Path, folders: list[str]) -> Pools:
    """The layout with `train/`, and `test/` or `val/`."""
    usable = [name for name in _TEST_FOLDERS if name in folders and list_folder(root / name)[0]]
    if not usable:
        raise PathLensError(
            f"{root} has a folder train/ but no class folders in test/ or val/: add one of them, or "
            f"give {root / 'train'}, of which a part is then kept for testing."
        )
    if len(usable) > 1:
        warnings.warn(
            f"{root} has both test/ and val/: test/ is the test set, val/ is left aside, and "
            "validation images are taken from train/.",
            stacklevel=2,
        )
    train = _labelled(root, "train/", "train")
    test = _labelled(root, f"{usable[0]}/", "test", train.classes)
    return Pools(train, test, _native_size(root, train))


def _labelled(
    root: Path, prefix: str, split_name: str, classes: tuple[str, ...] = ()
) -> ImageSplit:
    """The images of the class folders in `root/prefix`; `classes` are found there if not given."""
    place = root / prefix
    folders, loose = list_folder(place)
    if loose:
        beside = "1 image beside" if len(loose) == 1 else f"{len(loose):,} images beside"
        warnings.warn(
            f"{place} holds {beside} its class folders, left aside.",
            stacklevel=2,
        )
    classes = classes or _known_classes(place, folders)
    strangers = sorted(set(folders) - set(classes))
    if strangers:
        raise PathLensError(
            f"{place} has the class '{strangers[0]}' without a folder of that name in train/: add "
            "training images of it, or take it away."
        )
    ids: list[str] = []
    labels: list[int] = []
    for name in folders:
        found = _class_images(place / name)
        ids += [f"{prefix}{name}/{image}" for image in found]
        labels += [classes.index(name)] * len(found)
    return _split(root, split_name, ids, labels, classes)


def _known_classes(place: Path, folders: list[str]) -> tuple[str, ...]:
    if len(folders) == 1:
        raise PathLensError(
            f"{place} has only one class folder, '{folders[0]}', and a classifier needs two: add "
            f"another, or give {place / folders[0]} to record its images without labels."
        )
    return tuple(folders)


def _class_images(folder: Path) -> list[str]:
    found = find_images(folder)
    if not found:
        raise PathLensError(
            f"The class folder {folder} holds no images ({_SUFFIX_LIST}): fill it or take it away."
        )
    return found


def _split(
    root: Path, name: str, ids: list[str], labels: list[int] | None, classes: tuple[str, ...]
) -> ImageSplit:
    _check_names(root, [*ids, *classes])
    return ImageSplit(
        name=name,
        ids=tuple(ids),
        labels=None if labels is None else np.array(labels, dtype=np.int64),
        classes=classes,
        read=lambda position: read_image(root / ids[position]),
    )


def _check_names(root: Path, names: list[str]) -> None:
    """Refuse names that no table can hold; one look at all of them is quick."""
    try:
        "\n".join(names).encode()
    except UnicodeEncodeError as error:
        start = error.object.rfind("\n", 0, error.start) + 1
        name = error.object[start:].split("\n", 1)[0]
        raise PathLensError(
            f"The name {name!r} in {root} is not valid UTF-8: rename that file or folder."
        ) from error


def _native_size(root: Path, pool: ImageSplit) -> int | None:
    return shared_size([root / name for name in pool.ids])
