"""What the paths of a set of images say about their classes, one number a measure."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pathlens.analysis.information.linear_probe import HeldOut, fold_of, held_out
from pathlens.analysis.neighbours import nearest
from pathlens.analysis.source import Bits, Floats, Ints, dynamic_columns
from pathlens.analysis.statistics import percentile_interval

NEIGHBOURS = 15
BOUND = "bound"
FROM_COUNT = "bound from gates on"
BEYOND_COUNT = "bound beyond gates on"
LINEAR = "linear accuracy"
NEAREST = "kNN accuracy"
INTRA = "intra-class Hamming"
INTER = "inter-class Hamming"
RATIO = "inter / intra Hamming"
UNIQUE = "unique paths"

Numbers = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Measured:
    """One measure: its value, 95 % bootstrap interval over images, mean under permuted labels."""

    value: float
    low: float = float("nan")
    high: float = float("nan")
    null: float = float("nan")


@dataclass(frozen=True)
class Images:
    """Images with their classes, and everything random that all codes share.

    Attributes:
        labels: int64 (images,), from 0 to classes - 1.
        classes: Number of classes.
        parts: int64 (images,), the fold of each image.
        order: int64 (images,), positions in random order, in which equally near paths are taken:
            recordings are often sorted by class.
        permuted: int64 (permutations, images), labels dealt out at random.
        resamples: float32 (resamples, images), how often each image is in each bootstrap sample.
    """

    labels: Ints
    classes: int
    parts: Ints = field(repr=False)
    order: Ints = field(repr=False)
    permuted: Ints = field(repr=False)
    resamples: npt.NDArray[np.float32] = field(repr=False)

    @classmethod
    def draw(cls, labels: Ints, folds: int, permutations: int, resamples: int, seed: int) -> Images:
        """Divide, permute and resample images of at least two classes, by seed."""
        rng = np.random.default_rng(seed)
        images = len(labels)
        codes = np.unique(labels, return_inverse=True)[1].astype(np.int64)
        drawn = np.zeros((resamples, images), dtype=np.float32)
        parts = fold_of(codes, folds, rng)
        permuted = [rng.permutation(codes) for _ in range(permutations)]
        for row in drawn:
            row += np.bincount(rng.integers(0, images, images), minlength=images)
        order = rng.permutation(images)
        return cls(codes, int(codes.max()) + 1, parts, order, np.stack(permuted), drawn)

    @property
    def entropy(self) -> float:
        """Entropy of the class in bits."""
        shares = np.bincount(self.labels) / len(self.labels)
        return float(-(shares * np.log2(shares)).sum())

    def mean(self, values: Floats, null: list[Floats]) -> Measured:
        """A mean over images with its interval, beside the means under permuted labels."""
        means = self.resamples @ values / len(values)
        low, high = percentile_interval(means)
        permuted = float(np.mean([one.mean() for one in null])) if null else float("nan")
        return Measured(float(values.mean()), float(low), float(high), permuted)


def probe_measures(images: Images, features: Numbers) -> dict[str, Measured]:
    """Information bound and accuracy of a linear classifier of some features.

    I(class; features) >= H(class) + E log2 q(class | features) for any q (Barber & Agakov 2003); q is
    the cross-fitted classifier of `held_out`.

    Args:
        images: Their classes.
        features: (images, features).
    """
    found, null = _probe(images, features)
    return {
        BOUND: _bound(images, found, null),
        LINEAR: images.mean(
            found.correct.astype(np.float64), [one.correct.astype(np.float64) for one in null]
        ),
    }


def path_measures(images: Images, layers: list[Bits]) -> dict[str, Measured]:
    """All measures of the paths of images in one layer, or in several side by side.

    Args:
        images: Their classes.
        layers: bool (images, filters) of each layer.
    """
    bits = np.concatenate(layers, axis=1)
    bits = bits[:, dynamic_columns(bits)]
    on = np.stack([layer.sum(axis=1) for layer in layers], axis=1).astype(np.float64)
    centred = on - on.mean(axis=0)
    whole, whole_null = _probe(images, bits)
    count, count_null = _probe(images, np.concatenate([centred, centred**2], axis=1))
    beyond = [a.log2 - b.log2 for a, b in zip(whole_null, count_null, strict=True)]
    right = [one.correct.astype(np.float64) for one in (whole, *whole_null)]
    return {
        BOUND: _bound(images, whole, whole_null),
        FROM_COUNT: _bound(images, count, count_null),
        BEYOND_COUNT: images.mean(whole.log2 - count.log2, beyond),
        LINEAR: images.mean(right[0], right[1:]),
        NEAREST: _nearest_accuracy(images, bits),
        **_hamming_measures(images, bits),
        UNIQUE: Measured(float(len(np.unique(np.packbits(bits, axis=1), axis=0)))),
    }


def _probe(images: Images, features: Numbers) -> tuple[HeldOut, list[HeldOut]]:
    deals = [images.labels, *images.permuted]
    found = [held_out(features, deal, images.parts, images.classes) for deal in deals]
    return found[0], found[1:]


def _bound(images: Images, found: HeldOut, null: list[HeldOut]) -> Measured:
    entropy = images.entropy
    return images.mean(entropy + found.log2, [entropy + one.log2 for one in null])


def _nearest_accuracy(images: Images, bits: Bits) -> Measured:
    """Leave-one-out accuracy of the vote of the nearest paths."""
    order = images.order
    found = nearest(bits[order], count=min(NEIGHBOURS, len(bits) - 1))[1]
    indices = np.empty_like(found)
    indices[order] = order[found]
    right = [
        (_voted(deal[indices]) == deal).astype(np.float64)
        for deal in (images.labels, *images.permuted)
    ]
    return images.mean(right[0], right[1:])


def _voted(labels: Ints) -> Ints:
    """Most frequent label in each row, of equally frequent ones that which comes first."""
    votes = np.stack([(labels == column[:, None]).sum(axis=1) for column in labels.T], axis=1)
    return np.asarray(labels[np.arange(len(labels)), votes.argmax(axis=1)])


def _hamming_measures(images: Images, bits: Bits) -> dict[str, Measured]:
    """Mean Hamming distance of two images of one class and of two classes, in shares of filters."""
    once = np.ones((1, len(bits)), dtype=np.float32)
    values = pair_distances(bits, images.labels, images.classes, once)
    resampled = pair_distances(bits, images.labels, images.classes, images.resamples)
    permuted = [pair_distances(bits, deal, images.classes, once) for deal in images.permuted]
    null = np.concatenate(permuted, axis=1).mean(axis=1)
    low, high = percentile_interval(resampled.T)
    return {
        name: Measured(float(values[i, 0]), float(low[i]), float(high[i]), float(null[i]))
        for i, name in enumerate((INTRA, INTER, RATIO))
    }


def pair_distances(
    bits: Bits, labels: Ints, classes: int, weights: npt.NDArray[np.float32]
) -> Floats:
    """Mean Hamming distance over all pairs within and between classes, and their ratio.

    Of n images with c gates on, c (n - c) pairs differ in a filter: counts per class give the sums
    over all pairs exactly. An image that a bootstrap sample holds twice makes no pair with itself.

    Args:
        bits: bool (images, filters).
        labels: int64 (images,), from 0 to classes - 1.
        classes: Number of classes.
        weights: float32 (samples, images), whole numbers: copies of each image in each sample.

    Returns:
        float64 (3, samples): within, between (both as shares of the filters) and between / within;
        not a number where there are no such pairs, or within is 0.
    """
    samples, filters = len(weights), bits.shape[1]
    total_on, total = np.zeros((samples, filters)), np.zeros(samples)
    differ, pairs = np.zeros(samples), np.zeros(samples)
    for one in range(classes):
        member = labels == one
        chosen = weights[:, member]
        # Whole numbers below 2^24 are exact in float32.
        on = (chosen @ bits[member].astype(np.float32)).astype(np.float64)
        size = chosen.sum(axis=1, dtype=np.float64)
        differ += (on * (size[:, None] - on)).sum(axis=1)
        pairs += (size**2 - (chosen.astype(np.float64) ** 2).sum(axis=1)) / 2
        total_on += on
        total += size
    all_differ = (total_on * (total[:, None] - total_on)).sum(axis=1)
    all_pairs = (total**2 - (weights.astype(np.float64) ** 2).sum(axis=1)) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        within = differ / (pairs * filters)
        between = (all_differ - differ) / ((all_pairs - pairs) * filters)
        ratio = np.where(within > 0, between / within, np.nan)
        return np.stack([within, between, ratio])
