"""A class's signature: the filters that its images have on more often than others do."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pathlens.analysis.source import (
    Bits,
    Floats,
    Ints,
    PathData,
    choose_several,
    gather_bits,
    grouping,
)
from pathlens.errors import PathLensError, unknown
from pathlens.layers import LayerSpec


def signature(
    data: PathData,
    of: int | str,
    layers: Iterable[LayerSpec] | None = None,
    count: int = 5,
    rows: Ints | None = None,
) -> dict[str, list[int]]:
    """The filters whose on-rate in a class exceeds their on-rate in all other classes most.

    Args:
        data: A recording.
        of: The class, by number or name.
        layers: Layers to choose from; all for None.
        count: Number of filters, over all these layers.
        rows: Images to look at, so that others are left to ablate on; all for None.

    Returns:
        Layer name to filters, as `ablate` takes them; fewer than `count` filters where no more have a
        higher rate in the class.

    Raises:
        PathLensError: If there is no such class, layer or filter, or no image of the class or of others.
    """
    known = grouping(data)
    if known is None:
        raise PathLensError("The recording has no classes, so that there is no signature of one.")
    position = class_position(of, known.names)
    chosen = choose_several(data, layers)
    places = np.arange(len(known.codes)) if rows is None else np.asarray(rows, dtype=np.int64)
    places = places[known.codes[places] >= 0]
    excess = rate_excess(gather_bits(data, chosen, places), known.codes[places] == position)
    owner = [(layer.name, number) for layer in chosen for number in range(layer.filters)]
    best = [i for i in np.argsort(-excess, kind="stable")[:count] if excess[i] > 0]
    if not best:
        raise PathLensError(
            f"No filter is on more often in class {known.names[position]} than in others: choose "
            "other layers."
        )
    found: dict[str, list[int]] = {}
    for name, number in sorted(owner[i] for i in best):
        found.setdefault(name, []).append(number)
    return {layer.name: found[layer.name] for layer in chosen if layer.name in found}


def rate_excess(bits: Bits, members: Bits) -> Floats:
    """On-rate among some images less on-rate among all others, float64 (filters,).

    Args:
        bits: bool (images, filters).
        members: bool (images,), which images.

    Raises:
        PathLensError: If all images are members, or none.
    """
    if members.all() or not members.any():
        raise PathLensError("Rates can be compared only with images both in the class and outside.")
    return np.asarray(bits[members].mean(axis=0) - bits[~members].mean(axis=0))


def class_position(of: int | str, names: tuple[str, ...]) -> int:
    """Position of a class that is given by number or name.

    Raises:
        PathLensError: If there is no such class.
    """
    if isinstance(of, str):
        if of not in names:
            raise unknown("class", of, names)
        return names.index(of)
    if not 0 <= of < len(names):
        raise PathLensError(
            f"There is no class {of}: they are numbered from 0 to {len(names) - 1}."
        )
    return int(of)
