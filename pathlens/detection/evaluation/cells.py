"""Which images count: sources that the network gets right, and attacks on them that succeeded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.source import Bits, Ints, PathData
from pathlens.detection.data import DetectionData, detection_data, require_layers
from pathlens.detection.evaluation.families import family_of
from pathlens.detection.sets import ATTACK, BENIGN
from pathlens.errors import PathLensError
from pathlens.layers import LayerSpec

CLEAN = "clean"
MISCLASSIFIED = "clean, misclassified"
"""What tables call the clean images that the network gets wrong."""

FEWEST_CLEAN = 80
"""Below so many clean images that the network gets right, no threshold at 5 % can be fixed."""


@dataclass(frozen=True, eq=False)
class Cell:
    """Images of one altered set that count, made of sources that the network gets right.

    Attributes:
        kind: ATTACK or BENIGN.
        family: Sets of one family are left out together.
        data: The images; of an attack those that succeeded.
        sources: int64 (images,), the unit of splitting each was made from.
        failed: int64 (failed images,), units of the images whose attack failed, which are not scored.
        changed: bool (images,), whether the prediction differs from that of the clean image.
        strangers: Images made of sources that the network gets wrong when clean.
    """

    kind: str
    family: str
    data: DetectionData = field(repr=False)
    sources: Ints = field(repr=False)
    failed: Ints = field(repr=False)
    changed: Bits = field(repr=False)
    strangers: int = 0


@dataclass(frozen=True, eq=False)
class Bench:
    """All images of one code that count.

    Attributes:
        clean: Clean images that the network gets right.
        sources: int64 (clean images,), the unit of splitting of each: its group, else the image.
        cells: The altered sets by name.
        mistaken: Clean images that the network gets wrong; nothing is fitted or fixed on them.
        mistaken_sources: int64 (mistaken images,), the unit of each, `units` and above for one that
            holds no image that the network gets right.
    """

    clean: DetectionData = field(repr=False)
    sources: Ints = field(repr=False)
    cells: Mapping[str, Cell]
    mistaken: DetectionData = field(repr=False)
    mistaken_sources: Ints = field(repr=False)

    @property
    def units(self) -> int:
        """Number of units of splitting."""
        return int(self.sources.max(initial=-1)) + 1

    @property
    def wrong(self) -> int:
        """Number of clean images that the network gets wrong."""
        return len(self.mistaken)

    @property
    def wrong_units(self) -> int:
        """Number of units that hold nothing but such images."""
        return max(int(self.mistaken_sources.max(initial=-1)) + 1 - self.units, 0)

    @property
    def families(self) -> dict[str, str]:
        """Family of each attack of which at least one image succeeded."""
        return {name: self.cells[name].family for name in self.attacks}

    @property
    def attacks(self) -> list[str]:
        """Names of the attacks of which at least one image succeeded."""
        return [x for x, cell in self.cells.items() if cell.kind == ATTACK and len(cell.data)]


def read_bench(
    clean: PathData,
    altered: Mapping[str, PathData],
    benign: Collection[str],
    layers: Iterable[LayerSpec] | None = None,
    families: Mapping[str, str] | None = None,
) -> Bench:
    """Read clean and altered recordings of one network and keep what counts.

    `families` names the family of an altered set; that of any other follows from its own name.

    Raises:
        PathLensError: If labels, predictions or source images are missing, the recordings are not of
            one checkpoint, there are too few images, or no attack succeeded.
    """
    chosen = None if layers is None else list(layers)
    data = detection_data(clean, chosen)
    labels = _codes(data, "label", "the clean recording")
    right = labels == _codes(data, "prediction", "the clean recording")
    kept = data.take(right)
    if len(kept) < FEWEST_CLEAN:
        raise PathLensError(
            f"There are too few images: {len(kept):,} clean ones are predicted right, and fitting, "
            f"fixing thresholds and testing need at least {FEWEST_CLEAN}; record more."
        )
    mistaken = data.take(~right)
    numbers = _units(pd.concat([kept.images, mistaken.images], ignore_index=True))
    units = numbers[: len(kept)]
    truth = _Truth(data.images["image"], labels, right, units)
    cells: dict[str, Cell] = {}
    for name, recording in altered.items():
        _require_one_network(clean, recording, name)
        part = detection_data(recording, chosen)
        require_layers(part, data.layers)
        family = (families or {}).get(name, family_of(name))
        cells[name] = _cell(part, name, BENIGN if name in benign else ATTACK, family, truth)
    _require_successes(cells)
    return Bench(kept, units, cells, mistaken, numbers[len(kept) :])


def bench_of_code(
    bench: Bench,
    name: str,
    clean: PathData,
    altered: Mapping[str, PathData],
    layers: Iterable[LayerSpec] | None = None,
) -> Bench:
    """The same images through another code; labels and predictions stay those of the network.

    Raises:
        PathLensError: If the code lacks images, sets or layers.
    """
    chosen = None if layers is None else list(layers)
    lacking = [cell for cell in bench.cells if cell not in altered]
    if lacking:
        raise PathLensError(
            f"Baseline {name!r} lacks the altered set {lacking[0]!r}: record its code for the same "
            "image folders."
        )
    cells = {
        one: replace(cell, data=_seen(cell.data, detection_data(altered[one], chosen), name))
        for one, cell in bench.cells.items()
    }
    seen = detection_data(clean, chosen)
    return replace(
        bench,
        clean=_seen(bench.clean, seen, name),
        cells=cells,
        mistaken=_seen(bench.mistaken, seen, name),
    )


def _seen(data: DetectionData, code: DetectionData, name: str) -> DetectionData:
    """The images of `data` as another code describes them."""
    rows = pd.Index(code.images["image"]).get_indexer(pd.Index(data.images["image"]))
    missing = int(np.sum(rows < 0))
    if missing:
        raise PathLensError(
            f"Baseline {name!r} lacks {missing:,} of {len(rows):,} images of a set: record it on the "
            "same images."
        )
    require_layers(code, data.layers)
    # What the network answered is the same whatever code describes the way to it.
    return replace(
        code.take(rows),
        images=data.images,
        classes=data.classes,
        features=data.features,
        logits=data.logits,
    )


@dataclass(frozen=True)
class _Truth:
    """What the clean recording says of every source: its class, whether it is right, its unit."""

    images: pd.Series
    labels: Ints
    right: Bits
    units: Ints

    def find(self, sources: Any) -> Ints:
        """Position of each source among all clean images, -1 if it is none of them."""
        found = pd.Index(self.images).get_indexer(pd.Index(sources))
        return np.asarray(found, dtype=np.int64)

    def unit_of(self, positions: Ints) -> Ints:
        """Unit of splitting of right clean images at some positions."""
        return np.asarray(self.units[np.cumsum(self.right)[positions] - 1])


def _cell(data: DetectionData, name: str, kind: str, family: str, truth: _Truth) -> Cell:
    positions = truth.find(_sources(data, name))
    strange = int(np.sum(positions < 0))
    if strange:
        raise PathLensError(
            f"{strange:,} of {len(positions):,} images of the altered set {name!r} were made of "
            "images that the clean recording does not hold: record the clean images of the same "
            "data set and split, without a limit."
        )
    predicted = _codes(data, "prediction", f"the altered set {name!r}")
    right = truth.right[positions]
    changed = predicted != truth.labels[positions]
    kept = right & changed if kind == ATTACK else right
    images = data.images.assign(label=truth.labels[positions])
    return Cell(
        kind=kind,
        family=family,
        data=replace(data, images=images).take(kept),
        sources=truth.unit_of(positions[kept]),
        failed=truth.unit_of(positions[right & ~kept]),
        changed=changed[kept],
        strangers=int(np.sum(~right)),
    )


def _sources(data: DetectionData, name: str) -> Any:
    given = data.images.get("source_image")
    if given is None or given.isna().any() or (given == "").any():
        raise PathLensError(
            f"The altered set {name!r} does not say which image each was made from: record it from a "
            "folder whose groups.csv has a column source_image."
        )
    return given


def _codes(data: DetectionData, column: str, where: str) -> Ints:
    if column in data.images:
        codes = data.images[column].fillna(-1).to_numpy(dtype=np.int64)
        if (codes >= 0).all():
            return np.asarray(codes)
    raise PathLensError(
        f"Not every image of {where} has a {column}: record labelled images with a trained "
        "classifier."
    )


def _units(images: pd.DataFrame) -> Ints:
    """Number of each image's group, where groups are known, else of the image itself."""
    names = images["image"]
    if "group" in images:
        group = images["group"]
        known = group.notna() & (group != "")
        # A group may be called as an image is.
        names = pd.Series(np.where(known, "group\0" + group.astype(str), "image\0" + names))
    return np.asarray(pd.factorize(names)[0], dtype=np.int64)


def _require_one_network(clean: PathData, altered: PathData, name: str) -> None:
    hashes = [getattr(x, "manifest", {}).get("checkpoint", "") for x in (clean, altered)]
    if all(hashes) and hashes[0] != hashes[1]:
        raise PathLensError(
            f"The altered set {name!r} was recorded with checkpoint {hashes[1][:12]} and the clean "
            f"images with {hashes[0][:12]}: record both with the same run."
        )


def _require_successes(cells: Mapping[str, Cell]) -> None:
    attacks = [cell for cell in cells.values() if cell.kind == ATTACK]
    if not attacks:
        raise PathLensError("There is no attacked set to evaluate on: give at least one.")
    if not any(len(cell.data) for cell in attacks):
        raise PathLensError(
            "No attack succeeded on an image that the network gets right: attack with a larger "
            "epsilon or more steps."
        )
