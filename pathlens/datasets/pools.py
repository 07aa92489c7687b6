"""What a source of images gives, before it is limited and split."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pathlens.datasets.base import Dataset, ImageSplit
from pathlens.datasets.splits import hold_out, take

VALIDATION_SHARE = 0.1
"""Share of the training images on which a checkpoint is chosen."""

TEST_SHARE = 0.2
"""Share of the images that becomes the test set where a source has none of its own."""


@dataclass(frozen=True)
class Pools:
    """All images of a source, with its own division only.

    Attributes:
        train: Images to train on, those for validation among them; for images without labels, all;
            without images where there are only test images.
        test: Test images; None for images without labels.
        native_size: Height and width that all images share, in pixels; None where they differ.
        mirrored: Whether a mirrored image keeps its class.
    """

    train: ImageSplit
    test: ImageSplit | None
    native_size: int | None
    mirrored: bool = True


def split_pool(pool: ImageSplit, native_size: int | None, seed: int) -> Pools:
    """Cut labelled images of a source without a test set of its own: 80 % train, 20 % test."""
    train, test = hold_out(pool, TEST_SHARE, seed)
    return Pools(train, replace(test, name="test"), native_size)


def build_dataset(name: str, pools: Pools, *, seed: int, limit: int | None) -> Dataset:
    """Limit the pools and take the validation images from those to train on.

    Args:
        name: Name of the data set.
        pools: All its images.
        seed: Decides which images are kept and which become validation images.
        limit: At most so many images of train and validation together, and of test; None: all.
    """
    if pools.test is None:
        whole = pools.train if limit is None else take(pools.train, limit, seed)
        return Dataset(name, {"all": whole}, (), pools.native_size, pools.mirrored)
    pool, test = pools.train, pools.test
    if limit is not None:
        pool, test = take(pool, limit, seed), take(test, limit, seed)
    if not len(pool):
        return Dataset(name, {"test": test}, test.classes, pools.native_size, pools.mirrored)
    train, validation = hold_out(pool, VALIDATION_SHARE, seed)
    splits = {"train": train, "validation": validation, "test": test}
    return Dataset(name, splits, pool.classes, pools.native_size, pools.mirrored)
