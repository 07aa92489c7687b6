"""From pictures to tensors: geometry, order, seeds, unreadable images."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from pathlens.datasets import ImageSplit, UnreadableImageError
from pathlens.datasets.loader import (
    MEAN,
    STD,
    ImageLoader,
    View,
    augment,
    centre,
    normalise,
    to_canvas,
)
from pathlens.errors import PathLensError

RNG = np.random.default_rng(0)


def split_of(pictures, broken=()):
    def read(position):
        if position in broken:
            raise UnreadableImageError("cut short")
        return pictures[position]

    return ImageSplit("test", tuple(map(str, range(len(pictures)))), None, (), read)


@pytest.mark.parametrize("shape", [(50, 80), (80, 50), (33, 33), (20, 90), (1, 7)])
def test_a_canvas_is_torchvisions_resize_and_centre_crop(shape):
    picture = RNG.integers(0, 255, (*shape, 3), dtype=np.uint8)
    resized = v2.functional.resize(Image.fromarray(picture), 32)
    expected = np.asarray(v2.functional.center_crop(resized, 32))
    assert np.array_equal(to_canvas(picture, 32), expected)


def test_an_image_of_the_right_size_is_untouched():
    picture = RNG.integers(0, 255, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(to_canvas(picture, 32), picture)


def test_views_pad_small_images_and_crop_larger_ones():
    assert View.of(32, 32) == View(size=32, canvas=32, pad=4)
    assert View.of(224, None) == View(size=224, canvas=256, pad=0)
    assert View.from_json(View.of(224, 64).to_json()) == View.of(224, 64)


def test_centre_is_the_middle():
    canvas = torch.arange(36).view(1, 1, 6, 6).expand(1, 3, 6, 6)
    assert torch.equal(centre(canvas, View(4, 6, 0))[0, 0], canvas[0, 0, 1:5, 1:5])


def test_normalise_is_the_written_out_formula():
    pixels = torch.randint(0, 256, (2, 3, 2, 2), dtype=torch.uint8)
    found = normalise(pixels)
    for c in range(3):
        expected = (pixels[:, c].float() / 255 - MEAN[c]) / STD[c]
        torch.testing.assert_close(found[:, c], expected)


@pytest.mark.parametrize("view", [View(8, 8, 2), View(6, 8, 0)])
def test_every_augmented_image_is_a_crop_of_its_own_canvas_maybe_mirrored(view):
    canvas = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8)
    crops = augment(canvas, view, torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(canvas, (view.pad,) * 4)
    room = padded.shape[-1] - view.size + 1
    mirrored = 0
    for image, crop in zip(padded, crops, strict=True):
        plain = [
            image[:, t : t + view.size, u : u + view.size] for t in range(room) for u in range(room)
        ]
        straight = any(torch.equal(crop, p) for p in plain)
        flipped = any(torch.equal(crop, p.flip(2)) for p in plain)
        assert straight or flipped
        mirrored += flipped
    assert 8 < mirrored < 32


def test_augmentation_repeats_with_its_seed():
    canvas = torch.randint(0, 256, (10, 3, 8, 8), dtype=torch.uint8)
    first, again, other = (
        augment(canvas, View(8, 8, 2), torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("cache_bytes", [0, 1 << 30])
def test_batches_come_in_order_with_and_without_cache(cache_bytes):
    pictures = [np.full((4, 4, 3), i, dtype=np.uint8) for i in range(50)]
    loader = ImageLoader(split_of(pictures), View(4, 4, 0), threads=3, cache_bytes=cache_bytes)
    plan = [[3, 1], [2], [49, 48, 3], *([i] for i in range(30))]
    for _ in range(2):
        found = [batch.canvas[:, 0, 0, 0].tolist() for batch in loader.batches(plan)]
        assert found == plan


def test_unreadable_images_are_left_out_and_noted():
    pictures = [np.full((4, 4, 3), i, dtype=np.uint8) for i in range(6)]
    loader = ImageLoader(split_of(pictures, broken={1, 4}), View(4, 4, 0))
    batches = list(loader.batches([[0, 1, 2], [4], [5]]))
    assert [batch.positions.tolist() for batch in batches] == [[0, 2], [], [5]]
    assert loader.failed == {1: "cut short", 4: "cut short"}


def test_too_many_unreadable_images_stop_the_work():
    pictures = [np.zeros((4, 4, 3), dtype=np.uint8)] * 40
    loader = ImageLoader(split_of(pictures, broken=set(range(11))), View(4, 4, 0))
    with pytest.raises(PathLensError, match="11 of 40 images cannot be read"):
        list(loader.batches([range(40)]))
