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

    Args:
        clean: float64 (clean images,), scores.
        clean_counts: (clean images, samples), how often each was drawn, times its weight.
        altered: float64 (altered images,), scores.
        altered_counts: (altered images, samples).
    """
    everyone = np.ones((1, len(clean)), dtype=np.bool_)
    return np.asarray(
        auroc_draws_of_groups(clean, clean_counts, altered, altered_counts, everyone)[0]
    )


def auroc_draws_of_groups(
    clean: Floats,
    clean_counts: npt.NDArray[np.floating],
    altered: Floats,
    altered_counts: npt.NDArray[np.floating],
    groups: Bits,
) -> Draws:
    """Areas of the same altered images against several groups of the clean ones, in one pass.

    Scores are sorted once; a sample only weighs them anew.

    Args:
        clean: As in `auroc_draws`.
        clean_counts: As there.
        altered: As there.
        altered_counts: As there.
        groups: bool (groups, clean images), which clean images belong to a group.

    Returns:
        float64 (groups, samples); NaN where a side has no weight.
    """
    samples = clean_counts.shape[1]
    areas = np.full((len(groups), samples), np.nan)
    if not len(clean) or not len(altered):
        return areas
    members = groups.astype(clean_counts.dtype)
    places = _places(clean, altered)
    for start in range(0, samples, _DRAWS_AT_ONCE):
        some = slice(start, start + _DRAWS_AT_ONCE)
        areas[:, some] = _areas(places, members, clean_counts[:, some], altered_counts[:, some])
    return areas


@dataclass(frozen=True)
class _Places:
    """Order of altered scores, and how many of them lie below, and up to, each clean score."""

    order: npt.NDArray[np.intp]
    below: npt.NDArray[np.intp]
    up_to: npt.NDArray[np.intp]
    tied: bool


def _places(clean: Floats, altered: Floats) -> _Places:
    order = np.argsort(altered)
    ascending = altered[order]
    below = np.searchsorted(ascending, clean, side="left")
    up_to = np.searchsorted(ascending, clean, side="right")
    return _Places(order, below, up_to, bool((below != up_to).any()))


def _areas(
    places: _Places,
    members: npt.NDArray[np.floating],
    clean_counts: npt.NDArray[np.floating],
    altered_counts: npt.NDArray[np.floating],
) -> Draws:
    drawn = altered_counts[places.order]
    total = np.zeros((len(drawn) + 1, drawn.shape[1]), dtype=drawn.dtype)
    np.cumsum(drawn, axis=0, out=total[1:])
    beaten = total[places.below]
    if places.tied:
        beaten = (beaten + total[places.up_to]) / 2
    lost = (members @ (beaten * clean_counts)).astype(np.float64)
    pairs = (members @ clean_counts).astype(np.float64) * total[-1]
    return _ratio(pairs - lost, pairs)


def threshold_at(clean: Floats, rate: float, weights: Floats | None = None) -> float:
    """The lowest score of clean images above which a new clean one lies with chance at most `rate`.

    With n exchangeable images it is the k-th largest score, k = floor(rate (n + 1)): an image is
    flagged if it scores higher, which a new one does with chance k / (n + 1) (the split-conformal
    quantile; Papadopoulos et al. 2002). With weights, the new image is taken to weigh what a weighted
    draw weighs on average (Tibshirani et al. 2019 take its own weight). Infinite where there are too
    few images for the rate.

    Args:
        clean: float64 (images,), scores of clean images that it was not fitted on.
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
    return np.asarray(np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0))


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

    def beside(self, other: Resamples) -> Resamples:
        """The same samples with further sources, numbered on, that were drawn by themselves."""
        return Resamples(np.concatenate([self.counts, other.counts]))

    def of(self, sources: Ints) -> Counts:
        """How often the rows of some sources were drawn: float32 (rows, samples)."""
        return self.counts[sources]
