"""Concepts from bounding boxes: the share of an image's area that boxes of a concept cover."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from pathlens.concept_tables.images import DataImages, data_images, no_match, picture_size
from pathlens.concept_tables.layout import Floats, Ints, lay_out_listed, shown, tell
from pathlens.concept_tables.sources import numbers, read_lines, read_separated
from pathlens.errors import PathLensError

_IMAGE = ("image", "file")
_CONCEPT = ("concept", "class", "label", "wnid")
_CORNERS = (("x0", "xmin"), ("y0", "ymin"), ("x1", "xmax"), ("y1", "ymax"))


def build_boxes(
    table: str | Path,
    *,
    images: str | Path,
    names: str | Path | None = None,
    edges: Literal["inclusive", "exclusive"] = "inclusive",
    complete: bool = False,
) -> pd.DataFrame:
    """A concept table from boxes: value = share of the image covered by boxes of the concept.

    Boxes of one concept that overlap are united exactly: what both cover counts once.

    Args:
        table: A .tsv file (tabs) or .csv file (commas), a row a box, with the columns image (or
            file; an id as `pathlens record` gives it), concept (or class, label, wnid), and x0, y0,
            x1, y1 (or xmin, ymin, xmax, ymax) in pixels of the image file.
        images: The image folder.
        names: File that gives concepts readable names: lines of tab-separated columns, the last of
            which is the name and any other the key. None: concepts are called as in the table.
        edges: "inclusive" if x1 and y1 are the last pixels inside the box, "exclusive" if they are
            the first outside, or the coordinates are those of edges.
        complete: Whether images without a row have none of the concepts, instead of being unknown.

    Returns:
        Columns image, concept, value, laid out by `layout.lay_out_listed`.

    Warns:
        UserWarning: With the number of images without a row, unless `complete`, and of rows without
            an image.

    Raises:
        PathLensError: If a file is missing or unreadable, a box is empty or reaches outside its
            image, a concept has no name, or no row fits an image.
    """
    if edges not in ("inclusive", "exclusive"):
        raise PathLensError(f"Edges of boxes are 'inclusive' or 'exclusive', not '{edges}'.")
    source = Path(table).expanduser()
    boxes = _read(source, names)
    if edges == "inclusive":
        boxes[["x1", "y1"]] += 1
    data = data_images(images)
    boxes = _known(boxes, data, source, complete)
    _check(boxes, data, source, edges)
    ids = data.ids if complete else tuple(pd.unique(boxes["image"]))
    concepts = sorted(set(boxes["concept"]))
    boxes["row"] = pd.Index(ids).get_indexer(pd.Index(boxes["image"]))
    boxes["column"] = pd.Index(concepts).get_indexer(pd.Index(boxes["concept"]))
    return lay_out_listed(ids, concepts, *_covered(boxes))


def _covered(boxes: pd.DataFrame) -> tuple[Ints, Ints, Floats]:
    """Row, column and share of every image and concept that stand together in a box."""
    groups = boxes.groupby(["row", "column"]).indices
    corners = boxes[["x0", "y0", "x1", "y1"]].to_numpy()
    area = np.array([_union(corners[members]) for members in groups.values()])
    total = boxes[["height", "width"]].prod(axis=1).to_numpy()
    whole = total[[members[0] for members in groups.values()]]
    rows, columns = np.array(list(groups), dtype=np.int64).T
    # areas of fractional coordinates may exceed the image by a rounding
    return rows, columns, np.minimum(area / whole, 1.0)


def _read(source: Path, names: str | Path | None) -> pd.DataFrame:
    """Columns image, concept (str), x0, y0, x1, y1 (float)."""
    table = read_separated(source)
    chosen = [_column(source, table, options) for options in (_IMAGE, _CONCEPT, *_CORNERS)]
    boxes = table[chosen[:2]].set_axis(["image", "concept"], axis=1)
    boxes[["x0", "y0", "x1", "y1"]] = numbers(table[chosen[2:]], source)
    if names is not None:
        boxes["concept"] = _named(boxes["concept"], Path(names), source)
    return boxes


def _column(source: Path, table: pd.DataFrame, options: tuple[str, ...]) -> str:
    for name in options:
        if name in table.columns:
            return name
    raise PathLensError(
        f"{source} has no column {' or '.join(options)}: its columns are "
        f"{shown(list(table.columns), 12)}."
    )


def _named(concepts: pd.Series[str], names: Path, source: Path) -> pd.Series[str]:
    readable: dict[str, str] = {}
    for line in read_lines(names):
        *keys, name = (cell.strip() for cell in line.split("\t"))
        for key in keys:
            if readable.setdefault(key, name) != name:
                raise PathLensError(f"{names} gives '{key}' two names: keep one.")
    missing = sorted(set(concepts) - set(readable))
    if missing:
        raise PathLensError(
            f"{names} has no name for the concept '{missing[0]}' of {source}: add a line with it, a "
            "tab and its name."
        )
    return concepts.map(readable)


def _known(boxes: pd.DataFrame, data: DataImages, source: Path, complete: bool) -> pd.DataFrame:
    """The boxes of images that are there."""
    here = boxes["image"].isin(set(data.ids))
    if not here.any():
        raise no_match(str(source), f"images like {boxes['image'].iloc[0]}", data)
    strangers = sorted(set(boxes["image"][~here]))
    tell(strangers, f"images of {source.name} are not in {data.root} and are left out")
    if not complete:
        unlisted = sorted(set(data.ids) - set(boxes["image"]))
        tell(unlisted, f"images have no row in {source.name} and stay unknown")
    return boxes[here].reset_index(drop=True)


def _check(boxes: pd.DataFrame, data: DataImages, source: Path, edges: str) -> None:
    """Add the height and width of each box's image, and refuse boxes that are not inside it."""
    sizes = {image: picture_size(data.root / image) for image in pd.unique(boxes["image"])}
    boxes[["height", "width"]] = [sizes[image] for image in boxes["image"]]
    empty = (boxes["x1"] <= boxes["x0"]) | (boxes["y1"] <= boxes["y0"])
    outside = (boxes[["x0", "y0"]] < 0).any(axis=1)
    outside |= (boxes["x1"] > boxes["width"]) | (boxes["y1"] > boxes["height"])
    for bad, complaint in ((empty, "is empty"), (outside, "reaches outside its image")):
        if bad.any():
            box = boxes[bad].iloc[0]
            raise PathLensError(
                f"A box of {box['image']} in {source} {complaint} (edges taken as {edges}, image of "
                f"{box['width']:g} x {box['height']:g} pixels, {int(bad.sum()):,} such boxes): mend "
                "it, or give the other of `--edges inclusive` and `--edges exclusive`."
            )


def _union(boxes: Floats) -> float:
    """Area of the union of boxes (boxes, 4: x0, y0, x1, y1), exact.

    The edges of all boxes cut the plane into cells, each of which is covered whole or not at all.
    """
    x0, y0, x1, y1 = boxes.T
    if len(boxes) == 1:
        return float((x1 - x0)[0] * (y1 - y0)[0])
    xs, ys = np.unique([x0, x1]), np.unique([y0, y1])
    covered = np.zeros((len(ys) - 1, len(xs) - 1), dtype=np.bool_)
    left, right = np.searchsorted(xs, x0), np.searchsorted(xs, x1)
    top, bottom = np.searchsorted(ys, y0), np.searchsorted(ys, y1)
    for rows, columns in zip(map(slice, top, bottom), map(slice, left, right), strict=True):
        covered[rows, columns] = True
    return float(np.diff(ys) @ covered @ np.diff(xs))
