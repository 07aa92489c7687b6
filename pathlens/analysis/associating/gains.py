"""Whether a combination says more than what is simpler: one filter, its score, a linear probe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pathlens.analysis.associating.resampling import Resampling, interval
from pathlens.analysis.associating.sparse_probe import SparseProbe, sparse_probes
from pathlens.analysis.associating.trial import Trial
from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.analysis.statistics import phi

RIVALS = ("best_single", "best_member", "soft_single", "sparse_probe")

_NONE = float("nan")
# Cells of combination x rival x concept in binary order.
_OWN = np.array([0, 0, 0, 0, 1, 1, 1, 1])
_RIVAL = np.array([0, 0, 1, 1, 0, 0, 1, 1])
_HAS = np.array([0, 1, 0, 1, 0, 1, 0, 1])


def gain_columns(rival: str) -> tuple[str, str, str]:
    """Columns of the gain over a rival and of the ends of its interval."""
    gain = f"gain_over_{rival}"
    if rival == RIVALS[0]:
        return gain, "gain_ci_low", "gain_ci_high"
    return gain, f"{gain}_ci_low", f"{gain}_ci_high"


def gains(
    trial: Trial, scores: Floats | None, resampling: Resampling, rng: np.random.Generator
) -> pd.DataFrame:
    """Hold every candidate of several filters against rivals chosen on discovery images.

    The rivals: the layer's best single filter for the concept; the combination's best member; the
    score of that single filter, cut so that as many confirmation images are on as for the combination;
    a linear probe of as many filters as the combination has. Rivals are fixed before the
    confirmation images are looked at, and the bootstrap resamples those only.

    Args:
        trial: The candidates and the images.
        scores: (confirmation images, filters), what the gates were decided from; None if unknown.
        resampling: How bootstrap samples are drawn.
        rng: Source of chance of the bootstrap and of the order among equal scores.

    Returns:
        Columns best_single, best_member (filters), soft_single_phi, sparse_probe_phi, sparse_probe
        (its filters, joined by "+") and for every rival the gain in phi with its 95 % interval; gains
        of a single filter are NaN.
    """
    rivals = _Rivals(trial, scores, rng)
    rows = [_row(rivals, row, resampling, rng) for row in range(len(trial))]
    return pd.DataFrame(rows)


def difference(
    own: Bits, rival: Bits, has: Bits, resampling: Resampling, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Phi of one property with a concept less phi of another, and its paired 95 % interval.

    Args:
        own: bool (images,).
        rival: bool (images,).
        has: bool (images,), the images have the concept.
        resampling: How bootstrap samples are drawn; both phis are of the same sample.
        rng: Source of chance.
    """
    cells = resampling.cells(own, rival, has)
    value = float(_difference(cells.sum(axis=0)))
    return value, *interval(np.atleast_1d(_difference(resampling.drawn(cells, rng))))


def _difference(cells: Ints) -> Floats:
    images, has = cells.sum(axis=-1), cells @ _HAS
    own, rival = (
        phi(cells @ (which * _HAS), cells @ which, has, images) for which in (_OWN, _RIVAL)
    )
    return np.asarray(own - rival)


def phi_of(on: Bits, has: Bits) -> float:
    """Phi of two properties of images: bool (images,) each."""
    return float(phi((on & has).sum(), on.sum(), has.sum(), len(on)))


def cut(score: Floats, support: int, rng: np.random.Generator) -> Bits:
    """The `support` images with the highest score, equal ones by chance: bool (images,)."""
    order = np.lexsort([rng.permutation(len(score)), -score])
    on = np.zeros(len(score), dtype=np.bool_)
    on[order[:support]] = True
    return on


@dataclass
class _Rivals:
    """What stands beside the candidates of a layer; probes are fitted once a concept."""

    trial: Trial
    scores: Floats | None
    rng: np.random.Generator
    fitted: dict[int, list[SparseProbe]] = field(default_factory=dict)

    def best_member(self, row: int) -> int:
        """The member that goes best with the concept on discovery images."""
        half = self.trial.discovery
        has = half.concepts[:, self.trial.found.concept[row]]
        members = self.trial.members(row)
        return int(members[int(np.argmax([phi_of(half.bits[:, i], has) for i in members]))])

    def soft_single(self, row: int, support: int) -> Bits | None:
        """The best single filter's score, cut to a support."""
        if self.scores is None:
            return None
        single = self.trial.found.best_single[row]
        return cut(self.scores[:, single].astype(np.float64), support, self.rng)

    def probe(self, row: int) -> SparseProbe | None:
        """The linear probe of as many filters as the candidate has, or as there are."""
        concept = int(self.trial.found.concept[row])
        if concept not in self.fitted:
            half, most = self.trial.discovery, self.trial.found.members.shape[1]
            self.fitted[concept] = sparse_probes(half.bits, half.concepts[:, concept], most)
        probes = self.fitted[concept][: len(self.trial.members(row))]
        return probes[-1] if probes else None


def _row(
    rivals: _Rivals, row: int, resampling: Resampling, rng: np.random.Generator
) -> dict[str, Any]:
    trial = rivals.trial
    on, has, bits = trial.on(row), trial.has(row), trial.confirmation.bits
    single, member = int(trial.found.best_single[row]), rivals.best_member(row)
    support, probe = int(on.sum()), rivals.probe(row)
    others: dict[str, Bits | None] = {
        "best_single": bits[:, single],
        "best_member": bits[:, member],
        "soft_single": rivals.soft_single(row, support),
        "sparse_probe": None if probe is None else probe.on(bits),
    }
    found: dict[str, Any] = {
        "best_single": single,
        "best_member": member,
        "sparse_probe": "" if probe is None else "+".join(str(x) for x in sorted(probe.filters)),
    }
    for name in ("soft_single", "sparse_probe"):
        found[f"{name}_phi"] = _NONE if (other := others[name]) is None else phi_of(other, has)
    several = len(trial.members(row)) > 1
    for name, other in others.items():
        gain = (_NONE, _NONE, _NONE)
        if several and other is not None:
            gain = difference(on, other, has, resampling, rng)
        found |= zip(gain_columns(name), gain, strict=True)
    return found
