"""Filters of a trace: chosen for a class on one half of the images, measured on the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pathlens.analysis.associating.targets import FEWEST_POSITIVES
from pathlens.analysis.rate_tests import difference_interval, fisher_two_sided, odds_ratio, tally
from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.analysis.statistics import phi
from pathlens.analysis.tracing.trace_links import LINK_COLUMNS, Stage, co_activation
from pathlens.errors import PathLensError
from pathlens.layers import Layer


@dataclass(frozen=True)
class Contrast:
    """Images of a class against all others, in two halves, and the same with labels permuted.

    Attributes:
        name: The class.
        choosing: bool (1 + permutations, images), images of the class in the half that chooses
            filters; row 0 is the real class.
        testing: bool (1 + permutations, images), those in the half on which filters are measured.
        known: bool (2, images), all images of the two halves whose class is known.
    """

    name: str
    choosing: Bits = field(repr=False)
    testing: Bits = field(repr=False)
    known: Bits = field(repr=False)


def contrast(
    name: str, inside: Bits, known: Bits, discovery: Bits, permutations: int, seed: int
) -> Contrast:
    """Split the images of a class, and permute its labels within each half.

    Args:
        name: The class.
        inside: bool (images,), images of the class.
        known: bool (images,), images whose class is known.
        discovery: bool (images,), the half that chooses.
        permutations: Number of permuted labellings.
        seed: Seed of the permutations.

    Raises:
        PathLensError: If a half holds too few images of the class or of others.
    """
    halves = np.stack([known & discovery, known & ~discovery])
    rng = np.random.default_rng(seed)
    for half in halves:
        _require_both_sides(name, int((inside & half).sum()), int((half & ~inside).sum()))
    choosing, testing = (_dealt(inside, half, permutations, rng) for half in halves)
    return Contrast(name, choosing, testing, halves)


def _require_both_sides(name: str, inside: int, outside: int) -> None:
    if min(inside, outside) >= FEWEST_POSITIVES:
        return
    side = f"class '{name}'" if inside < FEWEST_POSITIVES else f"classes other than '{name}'"
    raise PathLensError(
        f"A half of the images holds {min(inside, outside)} of {side}, and a trace needs at least "
        f"{FEWEST_POSITIVES}: record more images of it, or give another class or seed."
    )


def _dealt(inside: Bits, half: Bits, permutations: int, rng: np.random.Generator) -> Bits:
    """Membership in the class within a half, real and permuted: bool (1 + permutations, images)."""
    member = np.zeros((1 + permutations, len(inside)), dtype=np.bool_)
    member[0] = inside & half
    real = inside[half]
    for row in member[1:]:
        row[half] = rng.permutation(real)
    return member


@dataclass
class Tracer:
    """Follows one class through the layers, which are shown to it one by one.

    Attributes:
        contrast: The class.
        per_layer: Filters to choose in a layer, at most.
        filters: One table a layer seen.
        links: One table a pair of neighbouring layers seen.
        tops: float64 (1 + permutations,) a layer seen: largest difference of rates among the
            chosen filters; the first for the real class.
    """

    contrast: Contrast
    per_layer: int
    filters: list[pd.DataFrame] = field(default_factory=list)
    links: list[pd.DataFrame] = field(default_factory=list)
    tops: list[Floats] = field(default_factory=list)
    _before: Stage | None = None

    def see(self, layer: Layer, bits: Bits, allowed: Bits) -> None:
        """Measure the next layer; keep of its bits only chosen filters for images of the class.

        Args:
            layer: The layer.
            bits: bool (images, filters).
            allowed: bool (filters,), those that may be chosen.
        """
        first = _Rates.of(bits, self.contrast.choosing, self.contrast.known[0])
        second = _Rates.of(bits, self.contrast.testing, self.contrast.known[1])
        strengths = np.where(allowed, np.abs(first.differences), 0.0)
        chosen = [_strongest(row, self.per_layer) for row in strengths]
        measured = np.abs(second.differences)
        self.tops.append(
            np.array([row[i].max(initial=0.0) for row, i in zip(measured, chosen, strict=True)])
        )
        self.filters.append(self._table(layer, first, second, chosen[0]))
        picked = np.sort(chosen[0])
        stage = Stage(layer.index, picked, bits[self.contrast.testing[0]][:, picked])
        if self._before is not None:
            self.links.append(co_activation(self._before, stage))
        self._before = stage

    def _table(self, layer: Layer, first: _Rates, second: _Rates, chosen: Ints) -> pd.DataFrame:
        on_in, n_in = second.on[0], second.inside
        on_out, n_out = second.total - on_in, second.images - n_in
        low, high = difference_interval(on_in, n_in, on_out, n_out)
        inside = np.full(len(on_in), n_in)
        return pd.DataFrame(
            {
                "class": self.contrast.name,
                "layer": layer.index,
                "name": layer.name,
                "filter": np.arange(layer.filters),
                "rate_in": on_in / n_in,
                "rate_out": on_out / n_out,
                "difference": second.differences[0],
                "low": low,
                "high": high,
                "odds_ratio": odds_ratio(on_in, n_in, on_out, n_out),
                "phi": phi(on_in, second.total, inside, second.images),
                "p": fisher_two_sided(second.total, inside, on_in, second.images),
                "chosen_by": first.differences[0],
                "chosen": np.isin(np.arange(layer.filters), chosen),
            }
        )

    def all_links(self) -> pd.DataFrame:
        """All pairs of chosen filters of neighbouring layers, with the class before them."""
        found = pd.concat(self.links) if self.links else pd.DataFrame(columns=list(LINK_COLUMNS))
        found.insert(0, "class", self.contrast.name)
        return found


@dataclass(frozen=True)
class _Rates:
    """Counts of one half: `on` int64 (deals, filters) within the class, `total` (filters,)."""

    on: Ints
    total: Ints
    inside: int
    images: int

    @staticmethod
    def of(bits: Bits, member: Bits, known: Bits) -> _Rates:
        counts = tally(bits, np.concatenate([member, known[None]]))
        return _Rates(counts[:-1], counts[-1], int(member[0].sum()), int(known.sum()))

    @property
    def differences(self) -> Floats:
        """Rate within the class minus rate outside: float64 (deals, filters)."""
        outside = (self.total - self.on) / (self.images - self.inside)
        return np.asarray(self.on / self.inside - outside)


def _strongest(strengths: Floats, count: int) -> Ints:
    """Positions of the largest values above 0, at most `count`, ties by position."""
    order = np.argsort(-strengths, kind="stable")[:count]
    return np.asarray(order[strengths[order] > 0], dtype=np.int64)
