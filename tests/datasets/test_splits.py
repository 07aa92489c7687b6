import numpy as np
import pytest

from pathlens.datasets.base import ImageSplit
from pathlens.datasets.splits import hold_out, take
from pathlens.errors import PathLensError


def make(labels, classes=None):
    count = len(labels)
    return ImageSplit(
        name="train",
        ids=tuple(f"train/{i:05d}" for i in range(count)),
        labels=np.array(labels, dtype=np.int64),
        classes=classes or tuple(str(c) for c in range(max(labels) + 1)),
        read=lambda position: np.full((2, 2, 3), position, np.uint8),
    )


def quotas(counts, limit):
    """Slow oracle: hand out one image a round to each class that has one left."""
    given = [0] * len(counts)
    while sum(given) + sum(g < c for g, c in zip(given, counts, strict=True)) <= limit:
        step = [int(g < c) for g, c in zip(given, counts, strict=True)]
        if not any(step):
            break
        given = [g + s for g, s in zip(given, step, strict=True)]
    return given


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("limit", [1, 3, 10, 17, 40, 99])
def test_take_gives_each_class_its_quota(seed, limit):
    rng = np.random.default_rng(seed)
    counts = [50, 3, 20, 1, 30]
    split = make(rng.permutation(np.repeat(np.arange(5), counts)).tolist())
    part = take(split, limit, seed)
    assert len(part) == limit
    got = np.bincount(part.labels, minlength=5)
    least = quotas(counts, limit)
    assert (got >= least).all()
    assert (got - least).max() <= 1
    assert list(part.ids) == sorted(part.ids)
    for position, image in enumerate(part.ids):
        assert part.read(position)[0, 0, 0] == int(image[-5:])
        assert part.labels[position] == split.labels[int(image[-5:])]


def test_take_is_seeded_and_nested():
    split = make([0, 1, 2] * 40)
    assert take(split, 20, 3).ids == take(split, 20, 3).ids
    assert take(split, 20, 3).ids != take(split, 20, 4).ids
    assert set(take(split, 20, 3).ids) < set(take(split, 40, 3).ids)


def test_take_favours_no_class_and_no_image():
    split = make([0] * 5 + [1] * 5)
    first = [take(split, 1, seed).ids[0] for seed in range(400)]
    share = np.mean([int(image[-5:]) >= 5 for image in first])
    assert share == pytest.approx(0.5, abs=0.12)
    assert len(set(first)) == 10


def test_take_all_and_nothing():
    split = make([0, 1, 0])
    assert take(split, 3) is split
    assert take(split, 10) is split
    for limit in (0, -5):
        with pytest.raises(PathLensError, match="at least 1"):
            take(split, limit)


def test_take_without_labels():
    whole = make([0] * 30)
    split = ImageSplit("all", whole.ids, None, (), whole.read)
    part = take(split, 7, 1)
    assert len(part) == 7
    assert part.labels is None
    assert list(part.ids) == sorted(part.ids)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_hold_out_cuts_every_class(seed, share):
    counts = [100, 40, 2, 1, 7]
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(5), counts))
    split = make(labels.tolist())
    train, validation = hold_out(split, share, seed)
    assert (train.name, validation.name) == ("train", "validation")
    assert sorted(train.ids + validation.ids) == list(split.ids)
    assert list(train.ids) == sorted(train.ids)
    assert list(validation.ids) == sorted(validation.ids)
    held = np.bincount(validation.labels, minlength=5)
    for count, number in zip(counts, held, strict=True):
        if count == 1:
            assert number == 0
        else:
            assert number == min(max(1, round(share * count)), count - 1)


def test_hold_out_is_seeded():
    split = make([0, 1] * 50)
    assert hold_out(split, seed=1)[1].ids == hold_out(split, seed=1)[1].ids
    assert hold_out(split, seed=1)[1].ids != hold_out(split, seed=2)[1].ids


def test_hold_out_with_a_class_that_has_no_image():
    split = make([0, 0, 2, 2], classes=("a", "b", "c"))
    train, validation = hold_out(split, 0.5)
    assert train.labels.tolist() == validation.labels.tolist() == [0, 2]


def test_hold_out_refuses_what_makes_no_sense():
    split = make([0, 1])
    with pytest.raises(ValueError, match="share"):
        hold_out(split, 1.0)
    with pytest.raises(ValueError, match="labels"):
        hold_out(ImageSplit("all", split.ids, None, (), split.read))
