"""`scenes`: generated pictures whose classes are conjunctions of concepts, with masks.

A picture shows one thing (circle, square, triangle, star or cross) in one of four colours and three
textures, before one of four backgrounds, with or without a flag and wheels; a small sun may stand
in a corner. Red or blue with circle or square make four classes, striped or dotted with triangle
or star four more, and a flag or wheels make the last two of a cross. No concept alone decides a
class. Background and sun are seen but independent of the class; `control:a`, `control:b` and
`control:c` are not even seen: whoever finds filters for those has made a false discovery.

In `scenes:shortcut` the night goes with the class "red circle" in 95 % of its training images (5 %
in the other classes) and in none of its test images (25 % in the others).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pathlens.datasets.base import ImageSplit, Mask
from pathlens.datasets.pools import Pools
from pathlens.datasets.scene_drawing import draw_masks, draw_scene
from pathlens.datasets.scene_plan import CLASSES, SIZE, Scene, plan_scene
from pathlens.errors import PathLensError

TRAIN_IMAGES = 3000
TEST_IMAGES = 1000


def load_scenes(
    seed: int = 0,
    *,
    shortcut: bool = False,
    train_images: int = TRAIN_IMAGES,
    test_images: int = TEST_IMAGES,
) -> Pools:
    """Plan the scenes; each is drawn when it is read (half a millisecond).

    Args:
        seed: Seed of all pictures: the image of one seed, pool and number is always the same,
            however many there are.
        shortcut: Whether to plant the shortcut of `scenes:shortcut`.
        train_images: Number of images to train on, validation included.
        test_images: Number of test images.
    """
    return Pools(
        train=_pool("train", seed, train_images, shortcut),
        test=_pool("test", seed, test_images, shortcut),
        native_size=SIZE,
    )


def scene_masks(split: ImageSplit, position: int) -> dict[str, Mask]:
    """The pixels of every concept that is to be seen in an image of a scenes split.

    Args:
        split: A split of `scenes` or `scenes:shortcut`, or a subset of one.
        position: Position of the image in the split.

    Returns:
        Concept name -> bool (64, 64), for every visible concept that the image has. Shape, colour
        and texture have the pixels of the thing without its flag and wheels.

    Raises:
        PathLensError: If the images of the split have no masks.
    """
    if split.masks is None:
        raise PathLensError(
            f"The images of this '{split.name}' split have no concept masks: scenes have them."
        )
    return split.masks(position)


def _pool(pool: str, seed: int, count: int, shortcut: bool) -> ImageSplit:
    scenes = [plan_scene(seed, pool, index, shortcut=shortcut) for index in range(count)]
    ids = tuple(f"{pool}/{index:05d}" for index in range(count))
    return ImageSplit(
        name=pool,
        ids=ids,
        labels=np.array([scene.label for scene in scenes], dtype=np.int64),
        classes=CLASSES,
        read=lambda position: draw_scene(scenes[position]),
        concepts=_concept_table(ids, scenes),
        masks=lambda position: draw_masks(scenes[position]),
    )


def _concept_table(ids: tuple[str, ...], scenes: list[Scene]) -> pd.DataFrame:
    """A row for every concept that an image has: columns image, concept, value (always 1)."""
    pairs = [
        (image, concept)
        for image, scene in zip(ids, scenes, strict=True)
        for concept in scene.concepts
    ]
    return pd.DataFrame(pairs, columns=["image", "concept"]).assign(value=1.0)
