"""Filter by filter: states, rates and agreement of gates in two recordings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from pathlens.analysis.comparing.compare_views import Common
from pathlens.analysis.rate_tests import (
    difference_interval,
    fisher_two_sided,
    mcnemar_exact,
    paired_interval,
    tally,
)
from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.analysis.statistics import holm, phi
from pathlens.layers import Layer

LEVEL = 0.05


@dataclass(frozen=True)
class FilterTables:
    """Filters and layers of two recordings; both are empty where no layer is shared.

    Attributes:
        layers: A row a layer, as `Comparison.frame` documents it.
        filters: A row a filter, as `Comparison.filters` documents it.
    """

    layers: pd.DataFrame = field(repr=False)
    filters: pd.DataFrame = field(repr=False)


def compare_filters(common: Common) -> FilterTables:
    """Compare the shared layers one by one, and correct over all their filters."""
    parts, agreements = [], []
    for layer in common.layers:
        one = _Layer.of(common, layer)
        parts.append(one.table())
        agreements.append(one.agreement())
    if not parts:
        return FilterTables(_empty_layers(), pd.DataFrame())
    filters = pd.concat(parts, ignore_index=True)
    filters["p_corrected"] = _corrected(filters)
    counts = filters.groupby("layer", sort=False).agg(
        name=("name", "first"),
        filters=("filter", "size"),
        states_changed=("changed", "sum"),
        rates_changed=("p_corrected", lambda p: int((p < LEVEL).sum())),
        mean_difference=("difference", lambda d: float(d.abs().mean())),
    )
    layers = counts.reset_index().join(pd.DataFrame(agreements))
    return FilterTables(layers, filters)


def _corrected(filters: pd.DataFrame) -> Floats:
    """Holm over the filters that are not on, or off, for all images of both."""
    both = filters["rate_a"] + filters["rate_b"]
    tested = ((both > 0) & (both < 2)).to_numpy()
    corrected = np.ones(len(filters))
    corrected[tested] = holm(filters["p"].to_numpy()[tested])
    return corrected


def _empty_layers() -> pd.DataFrame:
    return pd.DataFrame({"layer": pd.Series(dtype=np.int64), "name": pd.Series(dtype=object)})


@dataclass(frozen=True)
class _Layer:
    """One layer in both recordings; `cross` holds joint images, int64 (filters, filters)."""

    layer: Layer
    on_a: Ints
    on_b: Ints
    images_a: int
    images_b: int
    cross: Ints | None
    same_vector: float

    @staticmethod
    def of(common: Common, layer: Layer) -> _Layer:
        a, b = common.a.bits(layer.name), common.b.bits(layer.name)
        paired = common.paired
        return _Layer(
            layer=layer,
            on_a=a.sum(axis=0, dtype=np.int64),
            on_b=b.sum(axis=0, dtype=np.int64),
            images_a=len(a),
            images_b=len(b),
            cross=tally(b, a.T) if paired else None,
            same_vector=float((a == b).all(axis=1).mean()) if paired else float("nan"),
        )

    def table(self) -> pd.DataFrame:
        """A row a filter."""
        state_a, state_b = _states(self.on_a, self.images_a), _states(self.on_b, self.images_b)
        start = {
            "layer": self.layer.index,
            "name": self.layer.name,
            "filter": np.arange(self.layer.filters),
            "rate_a": self.on_a / self.images_a,
            "rate_b": self.on_b / self.images_b,
            "difference": self.on_b / self.images_b - self.on_a / self.images_a,
        }
        end = {"state_a": state_a, "state_b": state_b, "changed": state_a != state_b}
        return pd.DataFrame({**start, **self._tested(), **end})

    def _tested(self) -> dict[str, Floats | Ints]:
        """Interval and test of the difference, paired where the images are."""
        if self.cross is None:
            low, high = difference_interval(self.on_b, self.images_b, self.on_a, self.images_a)
            inside = np.full(len(self.on_b), self.images_b)
            total = self.images_a + self.images_b
            p = fisher_two_sided(self.on_a + self.on_b, inside, self.on_b, total)
            unknown = np.full(len(p), np.nan)
            return {
                "low": low,
                "high": high,
                "only_a": unknown,
                "only_b": unknown,
                "phi": unknown,
                "p": p,
            }
        both = np.diagonal(self.cross)
        only_a, only_b = self.on_a - both, self.on_b - both
        low, high = paired_interval(only_a, only_b, self.images_a)
        return {
            "low": low,
            "high": high,
            "only_a": only_a,
            "only_b": only_b,
            "phi": phi(both, self.on_a, self.on_b, self.images_a),
            "p": mcnemar_exact(only_a, only_b),
        }

    def agreement(self) -> dict[str, float]:
        """Share of equal gates beside chance, and whether filters of one number belong together."""
        unknown = ("equal", "expected", "kappa", "same_vector", "own_best", "own_best_chance")
        matchable = int(self._dynamic().sum())
        if self.cross is None:
            return {"matchable": matchable, **dict.fromkeys(unknown, float("nan"))}
        rate_a, rate_b = self.on_a / self.images_a, self.on_b / self.images_b
        expected = float((rate_a * rate_b + (1 - rate_a) * (1 - rate_b)).mean())
        changed = self.on_a + self.on_b - 2 * np.diagonal(self.cross)
        equal = 1 - float(changed.mean()) / self.images_a
        own_best, chance = self._own_best(self.cross)
        return {
            "equal": equal,
            "expected": expected,
            "kappa": (equal - expected) / (1 - expected) if expected < 1 else float("nan"),
            "same_vector": self.same_vector,
            "matchable": matchable,
            "own_best": own_best,
            "own_best_chance": chance,
        }

    def _dynamic(self) -> Bits:
        """Filters that are dynamic in both."""
        in_a = (self.on_a > 0) & (self.on_a < self.images_a)
        in_b = (self.on_b > 0) & (self.on_b < self.images_b)
        return np.asarray(in_a & in_b, dtype=np.bool_)

    def _own_best(self, cross: Ints) -> tuple[float, float]:
        """Share of filters of A that go with no filter of B more closely than with their own."""
        kept = np.flatnonzero(self._dynamic())
        if len(kept) < 2:
            return float("nan"), float("nan")
        joint = cross[np.ix_(kept, kept)]
        fit = phi(joint, self.on_a[kept][:, None], self.on_b[kept][None], self.images_a)
        best = fit.argmax(axis=1) == np.arange(len(kept))
        return float(best.mean()), 1 / len(kept)


def _states(on: Ints, images: int) -> npt.NDArray[np.str_]:
    return np.where(on == images, "high-energy", np.where(on == 0, "mute", "dynamic"))
