"""What two recordings have in common: the same images, the same layers, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pathlens.analysis.results import join_notes, plural
from pathlens.analysis.source import Bits, Ints, PathData, choose_several, require_images
from pathlens.layers import Layer, LayerSpec, LayerTable


@dataclass(frozen=True)
class View:
    """Some images and layers of a recording, as a recording.

    Attributes:
        source: Where the bits come from.
        layers: The layers that are seen, in the order in which they are compared.
        rows: int64 (images,), position in `source` of each image.
        images: What is known of the images.
        classes: Class names.
    """

    source: PathData = field(repr=False)
    layers: LayerTable
    rows: Ints = field(repr=False)
    images: pd.DataFrame = field(repr=False)
    classes: tuple[str, ...]

    def bits(self, layer: LayerSpec) -> Bits:
        """Gates of one layer: bool (images, filters)."""
        return self.source.bits(self.layers.find(layer).name)[self.rows]

    def concepts(self) -> pd.DataFrame | None:
        """The concept table of the source."""
        return self.source.concepts()


@dataclass(frozen=True)
class Common:
    """Two recordings, cut down to what they share.

    Attributes:
        a: The first; where images are shared, only those.
        b: The second; where images are shared, the same in the same order, under the labels and
            predictions of the first.
        paired: Whether images are shared.
        layers: Layers that both have, by name and number of filters, as the first numbers them.
        left_out: What only one of them has.
    """

    a: View
    b: View
    paired: bool
    layers: tuple[Layer, ...]
    left_out: str


def in_common(a: PathData, b: PathData, layers: Iterable[LayerSpec] | None) -> Common:
    """Cut two recordings down to shared layers and images; to neither where there are none.

    Raises:
        PathLensError: If a recording is empty or lacks a layer that was asked for.
    """
    require_images(a)
    require_images(b)
    specs = None if layers is None else list(layers)
    chosen_a, chosen_b = choose_several(a, specs), choose_several(b, specs)
    shared = _shared_layers(chosen_a, chosen_b)
    rows_a, rows_b = _shared_images(a.images, b.images)
    paired = len(rows_a) > 0
    images = a.images.iloc[rows_a].reset_index(drop=True)
    by_name = {layer.name: layer for layer in chosen_b}
    table_a = LayerTable(shared or chosen_a)
    table_b = LayerTable([by_name[layer.name] for layer in shared] or chosen_b)
    if paired:
        view_a = View(a, table_a, rows_a, images, a.classes)
        view_b = View(b, table_b, rows_b, images, a.classes)
    else:
        view_a = View(a, table_a, np.arange(len(a.images)), a.images, a.classes)
        view_b = View(b, table_b, np.arange(len(b.images)), b.images, b.classes)
    notes = [
        _unshared_layers(chosen_a, chosen_b, shared),
        _unshared_images(len(a.images), len(b.images), len(rows_a)),
    ]
    return Common(view_a, view_b, paired, tuple(shared), join_notes(notes))


def _shared_layers(left: Sequence[Layer], right: Sequence[Layer]) -> list[Layer]:
    known = {(layer.name, layer.filters) for layer in right}
    return [layer for layer in left if (layer.name, layer.filters) in known]


def _shared_images(left: pd.DataFrame, right: pd.DataFrame) -> tuple[Ints, Ints]:
    """Positions of the images that both name, in the order of the first."""
    found = pd.Index(right["image"]).get_indexer(pd.Index(left["image"]))
    rows = np.flatnonzero(found >= 0).astype(np.int64)
    return rows, np.asarray(found[rows], dtype=np.int64)


def _unshared_layers(left: Sequence[Layer], right: Sequence[Layer], shared: Sequence[Layer]) -> str:
    if not shared:
        return (
            "states, rates and agreement of filters (no layer has the same name and size in both)"
        )
    alone = len(left) + len(right) - 2 * len(shared)
    return f"{plural(alone, 'layer')} that only one of the two has" if alone else ""


def _unshared_images(left: int, right: int, shared: int) -> str:
    if not shared:
        return (
            "agreement of gates and clusters (no image is in both: rates stand on different ones)"
        )
    parts = [
        f"{plural(count - shared, 'image')} of {name}"
        for name, count in (("A", left), ("B", right))
        if count > shared
    ]
    return f"{' and '.join(parts)} that the other lacks" if parts else ""
