"""What a trace is asked to follow: a class, two classes, or one image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pathlens.analysis.source import Bits, Ints, PathData, codes_of, grouping
from pathlens.errors import PathLensError, unknown
from pathlens.layers import Layer


@dataclass(frozen=True)
class Aim:
    """The images whose filters are held against those of all others.

    Attributes:
        names: The class, or the two classes; for an image the class it was predicted as.
        members: bool (classes, images), images of each class.
        known: bool (images,), images whose class is known and that are looked at: a traced image
            is not held against itself.
        by: "label" or "prediction", what the classes are taken from.
        image: The image, or the empty string.
        row: Its position, or None.
    """

    names: tuple[str, ...]
    members: Bits = field(repr=False)
    known: Bits = field(repr=False)
    by: str
    image: str = ""
    row: int | None = None


def find_aim(data: PathData, of: int | str, against: int | str | None) -> Aim:
    """The class, classes or image that a caller named.

    A text is first looked for among the classes, then among the images.

    Raises:
        PathLensError: If no class is known, or there is no such class or image.
    """
    groups = grouping(data)
    if groups is None:
        raise PathLensError(
            "The recording knows neither labels nor predictions, so that no class can be traced: "
            "record a labelled dataset, or one through a classifier."
        )
    images = data.images["image"].astype(str)
    if isinstance(of, str) and of not in groups.names and (images == of).any():
        if against is not None:
            raise PathLensError("An image is traced alone: leave `against` out, or name a class.")
        return _image_aim(data, of, int(np.argmax(images == of)), groups.names)
    wanted = [of] if against is None else [of, against]
    codes = [_class_code(one, groups.names) for one in wanted]
    if len(set(codes)) < len(codes):
        raise PathLensError(f"Class '{of}' is held against itself: give another for `against`.")
    names = tuple(groups.names[code] for code in codes)
    return Aim(names, groups.codes == np.array(codes)[:, None], groups.codes >= 0, groups.by)


def _class_code(of: int | str, names: tuple[str, ...]) -> int:
    if isinstance(of, str) and of in names:
        return names.index(of)
    if str(of).isdigit() and int(of) < len(names):
        return int(of)
    raise unknown("class or image", str(of), names)


def _image_aim(data: PathData, image: str, row: int, names: tuple[str, ...]) -> Aim:
    """The class that an image was predicted as; the image itself is not looked at."""
    by, codes = _classes_of_image(data, row)
    code = int(codes[row])
    name = names[code] if code < len(names) else f"class {code}"
    others = np.arange(len(codes)) != row
    return Aim((name,), (codes == code)[None], (codes >= 0) & others, by, image, row)


def _classes_of_image(data: PathData, row: int) -> tuple[str, Ints]:
    rows = np.arange(len(data.images))
    for by in ("prediction", "label"):
        codes = codes_of(data, by, rows)
        if codes[row] >= 0:
            return by, codes
    raise PathLensError(
        f"The class of image {data.images['image'].iloc[row]} is neither predicted nor known: name "
        "an image that has one."
    )


def ablation_marks(
    confirmed: pd.DataFrame | None, layers: Iterable[Layer]
) -> dict[tuple[int, int], str]:
    """What ablation said of a filter, "confirmed" or "not confirmed", by (layer number, filter).

    Args:
        confirmed: Columns layer (number or name), filter and confirmed (bool), or None.
        layers: All layers of the recording.

    Raises:
        PathLensError: If a column is missing, or a layer or filter does not exist.
    """
    if confirmed is None:
        return {}
    missing = [name for name in ("layer", "filter", "confirmed") if name not in confirmed]
    if missing:
        raise PathLensError(
            f"The table of ablations lacks the column {missing[0]}: give layer, filter and "
            "confirmed (true or false)."
        )
    by_spec = {spec: one for one in layers for spec in (str(one.index), one.name)}
    marks = {}
    for spec, number, holds in confirmed[["layer", "filter", "confirmed"]].itertuples(index=False):
        layer = by_spec.get(str(spec))
        if layer is None or not 0 <= int(number) < layer.filters:
            raise PathLensError(
                f"The table of ablations names filter {number} of layer {spec}, which the recording "
                "does not have: give ablations of the same network."
            )
        marks[layer.index, int(number)] = "confirmed" if holds else "not confirmed"
    return marks
