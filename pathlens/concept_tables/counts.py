"""Concepts from human labels: the share of people who chose each class, and their disagreement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from pathlens.concept_tables.images import DataImages, data_images
from pathlens.concept_tables.layout import Floats, Ints, lay_out, shown, tell
from pathlens.concept_tables.sources import read_matrix, read_names
from pathlens.errors import PathLensError

AMBIGUITY = "ambiguity"
"""Name of the concept that says how much people disagree about an image."""

LEAST_AGREEMENT = 0.5
"""Share of images whose most chosen class is that of their folder below which rows are misplaced."""

CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
"""Classes of the archive of CIFAR-10, in its order."""


def build_counts(
    counts: str | Path,
    *,
    images: str | Path,
    classes: str | Path | None = None,
    ambiguity: bool = True,
) -> pd.DataFrame:
    """A concept table from human label counts, as those of Peterson et al. (2019), CIFAR-10H.

    The value of a class is the share of people who chose it. `ambiguity` is the entropy of these
    shares in bits over log2(number of classes): 0 if all agree, 1 if all classes were chosen equally
    often.

    Args:
        counts: (images, classes), not negative: a .npy file, or text.
        images: The image folder; the name of an image is its row (`test/cat/00003.jpg`: row 3). Of a
            folder with train/ and test/, the images in test/ (or val/) are meant. Or "cifar10": the
            test images of the archive, `test/00003`.
        classes: Names of the columns, one a line; None: the class folders in sorted order.
        ambiguity: Whether to add the concept `ambiguity`.

    Returns:
        Columns image, concept, value, laid out by `layout.lay_out_listed`.

    Warns:
        UserWarning: With the number of images that nobody labelled; the table does not name them.

    Raises:
        PathLensError: If a file is missing or unreadable, the numbers of rows or columns do not fit,
            the name of an image is no row or that of another image too, or people and folders agree
            on so few images that the rows must be in another order.
    """
    source = Path(counts).expanduser()
    matrix = read_matrix(source)
    if matrix.min() < 0:
        raise PathLensError(f"{source} has negative counts, like {matrix.min():g}: mend them.")
    names = None if classes is None else read_names(classes)
    if images == "cifar10":  # a Path means the folder of that name
        ids, chosen, names = _of_archive(matrix), matrix, names or CIFAR10
        _check_columns(source, matrix, names)
    else:
        data = data_images(images)
        names = names or _folder_classes(data)
        _check_columns(source, matrix, names)
        ids, labels, rows = _rows_of(data, len(matrix), source)
        chosen = matrix[rows]
        _check_agreement(source, data, chosen, labels, names)
    return _table(ids, names, chosen, ambiguity)


def _table(
    ids: Sequence[str], names: Sequence[str], counts: Floats, ambiguity: bool
) -> pd.DataFrame:
    people = counts.sum(axis=1, keepdims=True)
    labelled = people[:, 0] > 0
    without = [name for name, known in zip(ids, labelled, strict=True) if not known]
    tell(without, "images were labelled by nobody and stay unknown")
    if not labelled.any():
        raise PathLensError("Nobody labelled any of these images: all counts are 0.")
    ids = [name for name, known in zip(ids, labelled, strict=True) if known]
    values = counts[labelled] / people[labelled]
    if ambiguity:
        if AMBIGUITY in names:
            raise PathLensError(f"A class is called '{AMBIGUITY}' itself: give `--no-ambiguity`.")
        values, names = np.column_stack([values, _ambiguity(values)]), [*names, AMBIGUITY]
    return lay_out(ids, names, values)


def _ambiguity(shares: Floats) -> Floats:
    """Entropy of every row in bits, over the largest possible: float64 (images,), 0 to 1."""
    bits = -np.sum(shares * np.log2(shares, out=np.zeros_like(shares), where=shares > 0), axis=1)
    return np.asarray(np.clip(bits / np.log2(max(shares.shape[1], 2)), 0.0, 1.0))


def _of_archive(matrix: Floats) -> list[str]:
    if len(matrix) != 10_000:
        raise PathLensError(
            f"CIFAR-10 has 10,000 test images, but there are counts of {len(matrix):,}: give the "
            "counts of all of them, in the order of the archive."
        )
    return [f"test/{row:05d}" for row in range(len(matrix))]


def _folder_classes(data: DataImages) -> tuple[str, ...]:
    data.class_labels()
    return data.classes


def _check_columns(source: Path, matrix: Floats, names: Sequence[str]) -> None:
    if matrix.shape[1] != len(names):
        raise PathLensError(
            f"{source} has {matrix.shape[1]} columns, but there are {len(names)} classes "
            f"({shown(names)}): name every column in a file and give it as `--classes`."
        )


def _rows_of(data: DataImages, rows: int, source: Path) -> tuple[list[str], Ints | None, Ints]:
    """Ids, labels and rows of the images that are meant, in the order of the rows."""
    meant = [
        position
        for position, name in enumerate(data.ids)
        if not (data.divided and name.startswith("train/"))
    ]
    numbers = [_row(data.ids[position], rows, source) for position in meant]
    order = np.argsort(numbers, kind="stable")
    found = np.array(numbers, dtype=np.int64)[order]
    places = np.array(meant, dtype=np.int64)[order]
    twice = np.flatnonzero(np.diff(found) == 0)
    if len(twice):
        pair = [data.ids[places[at]] for at in (twice[0], twice[0] + 1)]
        raise PathLensError(
            f"{pair[0]} and {pair[1]} in {data.root} are both row {found[twice[0]]} of {source}: "
            "give the folder of just the images that were labelled."
        )
    labels = None if data.labels is None else data.labels[places]
    return [data.ids[place] for place in places], labels, found


def _row(image: str, rows: int, source: Path) -> int:
    stem = PurePosixPath(image).stem
    if re.fullmatch(r"[0-9]+", stem) and int(stem) < rows:
        return int(stem)
    raise PathLensError(
        f"The name of the image {image} is not a row of {source}, which has rows 0 to {rows - 1:,}: "
        "images have to be called by their row, like 00003.jpg."
    )


def _check_agreement(
    source: Path, data: DataImages, counts: Floats, labels: Ints | None, names: Sequence[str]
) -> None:
    """Refuse rows in another order than the images, which nothing else would show."""
    if labels is None or not set(data.classes) <= set(names):
        return
    column = np.array([names.index(name) for name in data.classes])
    agreement = float(np.mean(counts.argmax(axis=1) == column[labels]))
    if agreement < LEAST_AGREEMENT:
        raise PathLensError(
            f"The class most chosen in {source} is that of the folder for only {agreement:.0%} of "
            f"the images in {data.root}: its rows or columns are in another order."
        )
