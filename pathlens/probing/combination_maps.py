"""Where in the picture a combination responds, and how well that fits the pixels of a concept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from pathlens.analysis.associating.resampling import interval
from pathlens.analysis.source import Floats, Ints
from pathlens.decoupling.network import DecoupledNetwork
from pathlens.probing.map_thresholds import (
    BINS,
    FIXED,
    best_quantile,
    bins_of,
    ceiling,
    histogram,
    iou,
)
from pathlens.probing.mask_views import MaskedBatch, MaskedImages
from pathlens.probing.response_maps import Maps, response_maps
from pathlens.progress import progress_bar

BATCH = 16
"""Images held at once."""


@dataclass(frozen=True, order=True)
class Unit:
    """Filters of one layer that are looked at together; a single filter is a unit, too.

    Attributes:
        layer: Name of the layer.
        filters: Its filters, ascending.
    """

    layer: str
    filters: tuple[int, ...]


@dataclass(frozen=True)
class Fit:
    """A unit cut at the quantile that fits a concept best on discovery images, and how it then fits.

    Attributes:
        quantile: One of `map_thresholds.QUANTILES`: the share of discovery pixels that the unit was to
            be on for. It is on for another share where pixels are alike, and for a smaller one where
            it responds on fewer.
        threshold: The lowest bin (`map_thresholds.bins_of`) that is on.
        on: int64 (images,), labelled pixels of each confirmation image on which the unit is on.
        both: int64 (images,), those of them that are of the concept.
    """

    quantile: float
    threshold: int
    on: Ints = field(repr=False)
    both: Ints = field(repr=False)


Pair = tuple[Unit, int]
"""A unit, and the position of a concept."""


def combination_maps(
    network: DecoupledNetwork, x: Tensor, units: Sequence[Unit], size: tuple[int, int]
) -> Iterator[tuple[Unit, Maps]]:
    """Response maps of combinations: the minimum of the gated, enlarged maps of their filters.

    A place counts as far as all filters respond there, and nowhere in an image for which the gate of
    one of them is off. `response_maps` says what is read of a filter.

    Args:
        network: In eval mode.
        x: Normalised images (N, 3, H, W), on the network's device.
        units: The combinations.
        size: (height, width) in pixels of the maps, to which filters' maps are enlarged, bilinear.

    Yields:
        Each unit and its maps, float32 (N, height, width); one at a time, as all may be many.
    """
    wanted: dict[str, set[int]] = {}
    for unit in units:
        wanted.setdefault(unit.layer, set()).update(unit.filters)
    maps = response_maps(network, x, {name: sorted(filters) for name, filters in wanted.items()})
    for unit in units:
        members = torch.from_numpy(np.stack([maps[unit.layer, i] for i in unit.filters], axis=1))
        large = F.interpolate(members, size, mode="bilinear", align_corners=False)
        yield unit, large.amin(dim=1).numpy()


@dataclass(frozen=True)
class MapBench:
    """A network and masked images to measure its maps on.

    Attributes:
        network: In eval mode.
        images: Images and masks.
        device: Where to run.
        progress: Whether to show progress bars.
    """

    network: DecoupledNetwork = field(repr=False)
    images: MaskedImages
    device: str
    progress: bool

    def maps(
        self, rows: Ints, units: Sequence[Unit], doing: str
    ) -> Iterator[tuple[slice, MaskedBatch, Iterator[tuple[Unit, Maps]]]]:
        """Every batch of some images with its place among them and the maps of all units."""
        network = self.network.to(self.device)
        size = (self.images.view.size, self.images.view.size)
        done = 0
        with progress_bar(total=len(rows), desc=doing, shown=self.progress) as bar:
            for batch in self.images.batches(rows, BATCH):
                place = slice(done, done := done + len(batch.rows))
                x = batch.x.to(self.device)
                yield place, batch, combination_maps(network, x, units, size)
                bar.update(len(batch.rows))


def fit(bench: MapBench, pairs: Sequence[Pair], discovery: Ints, confirmation: Ints) -> Fits:
    """Cut units where they fit concepts best on discovery images; measure on confirmation images.

    Thresholds are quantiles of a unit's values over all pixels of all discovery images, the quantile
    chosen per unit and concept from `map_thresholds.QUANTILES`. Both come from histograms of 41 kB a
    unit and concept, however many images there are, and are exact to the width of a bin.

    Args:
        bench: The network and the images.
        pairs: Units and concepts, none twice.
        discovery: int64, images on which thresholds are chosen.
        confirmation: int64, images on which they are kept.
    """
    cuts = _cuts(bench, pairs, discovery)
    units = _units(pairs)
    has = np.zeros((len(confirmation), len(bench.images.concepts)), dtype=np.int64)
    labelled = np.zeros(len(confirmation), dtype=np.int64)
    on, both = (np.zeros((len(pairs), len(confirmation)), dtype=np.int64) for _ in range(2))
    for place, batch, maps in bench.maps(confirmation, list(units), "IoU, confirmation"):
        labelled[place] = batch.labelled.sum(axis=(1, 2))
        has[place] = batch.concepts.sum(axis=(2, 3))
        for unit, values in maps:
            bins = bins_of(values)
            for number in units[unit]:
                is_on = (bins >= cuts[number][1]) & batch.labelled
                on[number, place] = is_on.sum(axis=(1, 2))
                of_concept = batch.concepts[:, pairs[number][1]]
                both[number, place] = (is_on & of_concept).sum(axis=(1, 2))
    found = {pair: Fit(*cuts[i], on[i], both[i]) for i, pair in enumerate(pairs)}
    return Fits(found, has, labelled)


def _cuts(bench: MapBench, pairs: Sequence[Pair], rows: Ints) -> list[tuple[float, int]]:
    """Quantile and threshold of every pair, from discovery images alone."""
    units = _units(pairs)
    pixels = {unit: np.zeros((2, BINS), dtype=np.int64) for unit in units}
    concepts = np.zeros((len(pairs), BINS), dtype=np.int64)
    for _, batch, maps in bench.maps(rows, list(units), "IoU, discovery"):
        for unit, values in maps:
            bins = bins_of(values)
            pixels[unit] += [histogram(bins), histogram(bins[batch.labelled])]
            for number in units[unit]:
                concepts[number] += histogram(bins[batch.concepts[:, pairs[number][1]]])
    return [
        best_quantile(pixels[unit][0], pixels[unit][1], concepts[i])
        for i, (unit, _) in enumerate(pairs)
    ]


def _units(pairs: Sequence[Pair]) -> dict[Unit, list[int]]:
    """Every unit with the positions of its pairs."""
    units: dict[Unit, list[int]] = {}
    for number, (unit, _) in enumerate(pairs):
        units.setdefault(unit, []).append(number)
    return units


@dataclass(frozen=True)
class Fits:
    """How units fit concepts on confirmation images.

    Attributes:
        of: The fit of every pair.
        has: int64 (images, concepts), pixels of each concept.
        labelled: int64 (images,), pixels of which it is known what they are.
    """

    of: Mapping[Pair, Fit] = field(repr=False)
    has: Ints = field(repr=False)
    labelled: Ints = field(repr=False)

    def row(self, own: Pair, rival: Pair, times: Ints, blocks: Ints) -> dict[str, Any]:
        """IoU of a combination and of its layer's best single filter for one concept.

        IoU is the sum of intersections over the sum of unions of all images (Network Dissection, Bau
        et al. 2017); bootstrap samples are of whole blocks, the same for both units.

        Args:
            own: The combination, and the concept.
            rival: The single filter, and the same concept.
            times: int64 (resamples, blocks), how often each block is in each bootstrap sample.
            blocks: int64 (images,), the block of each image.

        Returns:
            iou, iou_best_single and iou_gain (their difference), each with `_ci_low` and `_ci_high`;
            iou_ceiling (at the share of pixels that the combination is on for), iou_ceiling_fixed (at
            `map_thresholds.FIXED`), quantile, quantile_best_single, share_on, share_concept.
        """
        one, other = self.of[own], self.of[rival]
        counts = np.stack([one.both, one.on, other.both, other.on, self.has[:, own[1]]])
        total = counts.sum(axis=1)
        per_block = np.zeros((times.shape[1], len(counts)), dtype=np.int64)
        np.add.at(per_block, blocks, counts.T)
        drawn = _ious((times @ per_block).T) if times.shape[1] > 1 else np.empty((3, 0))
        row: dict[str, Any] = {}
        for name, value, sample in zip(_IOUS, _ious(total), drawn, strict=True):
            row[name] = float(value)
            row[f"{name}_ci_low"], row[f"{name}_ci_high"] = interval(sample)
        labelled = max(int(self.labelled.sum()), 1)
        on, has = float(total[1] / labelled), float(total[4] / labelled)
        return {
            **row,
            "iou_ceiling": ceiling(on, has),
            "iou_ceiling_fixed": ceiling(FIXED, has),
            "quantile": one.quantile,
            "quantile_best_single": other.quantile,
            "share_on": on,
            "share_concept": has,
        }


_IOUS = ("iou", "iou_best_single", "iou_gain")


def _ious(counts: Ints) -> Floats:
    """IoU of a unit, of its rival, and their difference: float64 (3, ...) from (5, ...) counts."""
    both, on, rival_both, rival_on, has = counts
    own, rival = iou(both, on, has), iou(rival_both, rival_on, has)
    return np.stack([own, rival, own - rival])


def iou_table(
    fits: Fits,
    rows: pd.DataFrame,
    pairs: Sequence[tuple[Pair, Pair]],
    blocks: Ints,
    *,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """`Fits.row` of several associations.

    Args:
        fits: What was measured.
        rows: What the associations are about; columns that the result begins with.
        pairs: For each of them the combination and the rival, each with the concept.
        blocks: int64 (images,), which confirmation images belong together, numbered from 0.
        resamples: Bootstrap samples; fewer than two blocks give no intervals.
        seed: Draws them.
    """
    count = int(blocks.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    times = rng.multinomial(count, np.full(count, 1 / max(count, 1)), size=resamples)
    found = [fits.row(own, rival, times, blocks) for own, rival in pairs]
    return pd.concat([rows.reset_index(drop=True), pd.DataFrame(found)], axis="columns")
