"""Searching filters through which a shortcut runs: by association first, then by intervention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.errors import PathLensError
from pathlens.probing.interventions import Bench, Effect, Members

LEAST_GAIN = 0.01
"""Mean log probability, in nats, that a further filter has to gain the worst group."""

MOST_IN_BUNDLE = 64
"""Filters of the largest bundle."""

Filter = tuple[str, int]
"""Name of a layer and number of a filter."""


def association_within_classes(bits: Bits, attribute: Bits, labels: Ints) -> Floats:
    """Partial correlation of every gate with an attribute given the class, (filters,), -1 to 1.

    Both are taken as differences from their means in the image's class, so that a filter that merely
    goes with a class in which the attribute is frequent scores 0. Also 0 where nothing varies.

    Args:
        bits: bool (images, filters).
        attribute: bool (images,).
        labels: int64 (images,), true classes.
    """
    gates, concept = _apart(bits, labels), _apart(attribute[:, None], labels)[:, 0]
    size = np.sqrt((gates**2).sum(axis=0) * (concept**2).sum())
    return np.asarray((concept @ gates) / np.where(size > 1e-9, size, np.inf))


def _apart(values: Bits, labels: Ints) -> Floats:
    """Differences from the mean of the image's class."""
    found = values.astype(np.float64)
    for k in np.unique(labels):
        found[labels == k] -= found[labels == k].mean(axis=0)
    return found


def drawn_class(predictions: Ints, labels: Ints, attribute: Bits) -> int:
    """The class that images of other classes are taken for because they have an attribute.

    That for which the share of wrong answers "this class" grows most from images without the
    attribute to images with it.

    Args:
        predictions: int64 (images,).
        labels: int64 (images,).
        attribute: bool (images,).
    """
    classes = np.unique(np.concatenate([predictions, labels]))
    growth = []
    for k in classes:
        others, taken = labels != k, predictions == k
        with_it, without = taken[others & attribute], taken[others & ~attribute]
        growth.append(with_it.mean() - without.mean() if len(with_it) and len(without) else -1.0)
    return int(classes[int(np.argmax(growth))])


@dataclass(frozen=True)
class Groups:
    """Images by whether they are of the shortcut's class and whether they have its attribute.

    Attributes:
        codes: int64 (images,): 2 for the class, plus 1 for the attribute.
        counted: Groups with images enough to be the worst.
    """

    codes: Ints
    counted: tuple[int, ...]

    @staticmethod
    def of(labels: Ints, attribute: Bits, target: int, smallest: int) -> Groups:
        """Group images.

        Raises:
            PathLensError: If fewer than two groups have `smallest` images.
        """
        codes = 2 * (labels == target).astype(np.int64) + attribute
        sizes = np.bincount(codes, minlength=4)
        counted = tuple(np.flatnonzero(sizes >= smallest).tolist())
        if len(counted) < 2:
            raise PathLensError(
                f"Fewer than two groups of class and attribute have {smallest} images (sizes "
                f"{sizes.tolist()}): record more images, or lower `smallest`."
            )
        return Groups(codes, counted)

    def worst(self, right: Bits) -> float:
        """Accuracy of the worst counted group, for bool (images,)."""
        return min(float(right[self.codes == code].mean()) for code in self.counted)


@dataclass(frozen=True)
class Judged:
    """What a set does on discovery images.

    Attributes:
        worst: Accuracy of the worst group.
        likelihood: Lowest mean log probability of the true class over the groups, in nats.
        mean: Accuracy of all images.
    """

    worst: float
    likelihood: float
    mean: float

    @staticmethod
    def of(scores: Floats, labels: Ints, groups: Groups) -> Judged:
        """Judge class scores (images, classes)."""
        right = scores.argmax(axis=1) == labels
        top = scores.max(axis=1, keepdims=True)
        log_sum = top[:, 0] + np.log(np.exp(scores - top).sum(axis=1))
        true = scores[np.arange(len(scores)), labels] - log_sum
        lowest = min(float(true[groups.codes == code].mean()) for code in groups.counted)
        return Judged(groups.worst(right), lowest, float(right.mean()))

    def better(self, other: Judged) -> bool:
        """Whether the worst group is likelier to be right, and not less often right.

        Few images make its accuracy a coarse number, which chance raises easily; likelihood is smooth.
        """
        return self.likelihood > other.likelihood + LEAST_GAIN and self.worst >= other.worst


def as_members(filters: Sequence[Filter], order: Sequence[str]) -> dict[str, Ints]:
    """Filters by layer, layers in running order."""
    return {
        name: np.array(sorted(number for owner, number in filters if owner == name), dtype=np.int64)
        for name in order
        if any(owner == name for owner, _ in filters)
    }


def bundles(filters: Sequence[Filter], associations: Floats) -> list[tuple[Filter, ...]]:
    """The 2, 4, 8, ... filters that go most with the attribute, or with its absence, or with either.

    A shortcut that many filters carry is not cured by any one of them.

    Args:
        filters: Filters, strongest first.
        associations: (filters,), their associations, none of them 0.
    """
    found: dict[tuple[Filter, ...], None] = {}
    for side in (associations > 0, associations < 0, associations != 0):
        strongest = [each for each, wanted in zip(filters, side, strict=True) if wanted]
        sizes = [2**power for power in range(1, 1 + int(np.log2(MOST_IN_BUNDLE)))]
        found |= {tuple(strongest[:n]): None for n in sizes if n <= len(strongest)}
    return list(found)


def grow(
    bench: Bench,
    groups: Groups,
    candidates: Sequence[Filter],
    *,
    bundles: Sequence[tuple[Filter, ...]] = (),
    steps: int,
    spare: float,
    effect: Effect,
) -> tuple[list[Filter], dict[Filter, Judged], Judged]:
    """Grow a set: first the filter or bundle, then filters whose gating off helps the worst group most.

    Ends when no further filter helps, or all that help would cost more than `spare` of accuracy. A set
    that does not raise the accuracy of the worst group is dropped.

    Args:
        bench: Discovery images.
        groups: Their groups.
        candidates: Filters to choose from one by one.
        bundles: Sets that may come first.
        steps: Most steps of growth.
        spare: Accuracy over all images that may be lost, as a share.
        effect: See `Bench.scores`.

    Returns:
        The set in the order of its growth, what each candidate does alone, and what no set does.
    """
    order = list(bench.gates)
    own = Judged.of(bench.own, bench.labels, groups)
    singles = [(candidate,) for candidate in candidates]
    best, chosen, alone = own, list[Filter](), dict[Filter, Judged]()
    for step in range(steps):
        options = [*singles, *bundles] if step == 0 else singles
        judged = {
            option: _judge(bench, groups, as_members([*chosen, *option], order), effect)
            for option in options
            if not set(option) & set(chosen)
        }
        alone = alone or {option[0]: judged[option] for option in singles}
        helping = {
            option: found
            for option, found in judged.items()
            if found.better(best) and found.mean >= own.mean - spare
        }
        if not helping:
            break
        winner = max(helping, key=lambda option: helping[option].likelihood)
        chosen += winner
        best = helping[winner]
    # What makes the worst group likelier but never right is no cure.
    return (chosen if best.worst > own.worst else []), alone, own


def _judge(bench: Bench, groups: Groups, members: Members, effect: Effect) -> Judged:
    return Judged.of(bench.scores(members, "off", effect), bench.labels, groups)
