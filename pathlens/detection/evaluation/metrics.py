"""Figures of a detector: area under the ROC curve, thresholds that clean images fix, intervals."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Bits, Floats, Ints

Counts = npt.NDArray[np.float32]
Draws = npt.NDArray[np.float64]

_DRAWS_AT_ONCE = 125  # so that the sums of one block stay in the processor's cache


def auroc(
    clean: Floats,
    altered: Floats,
    clean_weights: Floats | None = None,
    altered_weights: Floats | None = None,
) -> float:
    """Chance that an altered image scores higher than a clean one, ties counted half.

    That is the area under the ROC curve, the Mann-Whitney statistic over its largest value (Hanley &
    McNeil 1982); NaN where either side has no weight.

    Args:
        clean: float64 (clean images,), scores.
        altered: float64 (altered images,), scores.
        clean_weights: Weight of each clean image; all equal for None.
        altered_weights: Weight of each altered image; all equal for None.
    """
    left = np.ones(len(clean)) if clean_weights is None else clean_weights
    right = np.ones(len(altered)) if altered_weights is None else altered_weights
    area = auroc_draws(clean, left[:, None], altered, right[:, None])
    return float(area[0])


def auroc_draws(
    clean: Floats,
    clean_counts: npt.NDArray[np.floating],
    altered: Floats,
    altered_counts: npt.NDArray[np.floating],
) -> Draws:
    """The area under the ROC curve in bootstrap samples: float64 (samples,).

    Scores are sorted once; a sample only weighs them anew.

    Args:
        clean: float64 (clean images,), scores.
        clean_counts: (clean images, samples), how often each was drawn, times its weight.
        altered: float64 (altered images,), scores.
        altered_counts: (altered images, samples).
    """
    samples = clean_counts.shape[1]
    if not len(clean) or not len(altered):
        return np.full(samples, np.nan)
    places = _places(clean, altered)
    areas = np.empty(samples)
    for start in range(0, samples, _DRAWS_AT_ONCE):
        some = slice(start, start + _DRAWS_AT_ONCE)
        areas[some] = _areas(places, clean_counts[:, some], altered_counts[:, some])
    return areas


@dataclass(frozen=True)
class _Places:
    """Where altered scores stand among the clean ones: in order, and clean scores below and up to."""

    clean: npt.NDArray[np.intp]
    altered: npt.NDArray[np.intp]
    below: npt.NDArray[np.intp]
    up_to: npt.NDArray[np.intp]
    tied: bool


def _places(clean: Floats, altered: Floats) -> _Places:
    clean_order, altered_order = np.argsort(clean), np.argsort(altered)
    ascending, asked = clean[clean_order], altered[altered_order]
    below = np.searchsorted(ascending, asked, side="left")
    up_to = np.searchsorted(ascending, asked, side="right")
    return _Places(clean_order, altered_order, below, up_to, bool((below != up_to).any()))


def _areas(
    places: _Places,
    clean_counts: npt.NDArray[np.floating],
    altered_counts: npt.NDArray[np.floating],
) -> Draws:
    total = np.zeros((len(places.clean) + 1, clean_counts.shape[1]), dtype=clean_counts.dtype)
    np.cumsum(clean_counts[places.clean], axis=0, out=total[1:])
    drawn = altered_counts[places.altered]
    wins = np.einsum("ib,ib->b", total[places.below], drawn, dtype=np.float64)
    if places.tied:
        more = np.einsum("ib,ib->b", total[places.up_to], drawn, dtype=np.float64)
        wins = (wins + more) / 2
    pairs = total[-1].astype(np.float64) * drawn.sum(axis=0, dtype=np.float64)
    return _ratio(wins, pairs)


def threshold_at(clean: Floats, rate: float, weights: Floats | None = None) -> float:
    """The lowest score of clean images above which a new clean one lies with chance at most `rate`.

    With n exchangeable images it is the k-th largest score, k = floor(rate (n + 1)): an image is
    flagged if it scores higher, which a new one does with chance k / (n + 1) (the split-conformal
    quantile; Papadopoulos et al. 2002). With weights, the new image is taken to weigh what a weighted
    draw weighs on average (Tibshirani et al. 2019 take its own weight). Infinite where there are too
    few images for the rate.

    Args:
        clean: float64 (images,), scores of clean images that are used for nothing else.
        rate: False positive rate, 0 to 1.
        weights: Weight of each image; all equal for None.
    """
    weight = np.ones(len(clean)) if weights is None else weights
    present = weight > 0
    order = np.argsort(-clean[present], kind="stable")
    scores, weight = clean[present][order], weight[present][order]
    if not len(scores):
        return float("inf")
    above = np.concatenate([[0.0], np.cumsum(weight)[:-1]])
    newcomer = float((weight**2).sum() / weight.sum())
    # A hair of room: 0.05 * 20 is to be 1 whatever the last binary digit.
    allowed = above + newcomer <= rate * (weight.sum() + newcomer) * (1 + 1e-12)
    return float(scores[np.flatnonzero(allowed)[-1]]) if allowed.any() else float("inf")


def share(flagged: Bits, weights: Floats | None = None) -> float:
    """Weighted share of images that are flagged; NaN without images."""
    weight = np.ones(len(flagged)) if weights is None else weights
    total = float(weight.sum())
    return float(weight[flagged].sum()) / total if total > 0 else float("nan")


def share_draws(flagged: Bits, counts: Counts) -> Draws:
    """Share of flagged images in bootstrap samples: float64 (samples,).

    Args:
        flagged: bool (images,).
        counts: float32 (images, samples), how often each image was drawn.
    """
    total = counts.sum(axis=0, dtype=np.float64)
    hits = (flagged.astype(np.float32) @ counts).astype(np.float64)
    return _ratio(hits, total)


def _ratio(part: Draws, whole: Draws) -> Draws:
    """Part over whole, NaN where there is nothing."""
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0))


def interval(draws: Draws) -> tuple[float, float]:
    """95 % percentile interval (Efron 1979); NaN twice without samples."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True)
class Resamples:
    """Bootstrap samples of source images; a source brings all rows that were made of it.

    Drawing whole sources is the cluster bootstrap (Davison & Hinkley 1997, section 3.8). All detectors
    are held against the same samples, so that differences between them are paired.

    Attributes:
        counts: float32 (sources, samples), how often each source was drawn.
    """

    counts: Counts = field(repr=False)

    @staticmethod
    def draw(tested: Bits, samples: int, seed: int) -> Resamples:
        """Draw samples of the tested sources, with replacement and as many as there are.

        Args:
            tested: bool (sources,), which may be drawn.
            samples: Number of samples; 0 for none.
            seed: Seed of the draw.
        """
        rng = np.random.default_rng(seed)
        members = int(tested.sum())
        table = np.zeros((len(tested), samples), dtype=np.float32)
        places = np.flatnonzero(tested)
        for sample in range(samples):
            drawn = rng.integers(0, members, members)
            table[places, sample] = np.bincount(drawn, minlength=members)
        return Resamples(table)

    def of(self, sources: Ints) -> Counts:
        """How often the rows of some sources were drawn: float32 (rows, samples)."""
        return self.counts[sources]
