"""Masks go through the geometry of their images, and what is wrong with them is said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pathlens.datasets.loader import View, centre, to_canvas
from pathlens.errors import PathLensError
from pathlens.probing import MaskFolder
from pathlens.probing.mask_views import DATASET, MaskedImages, in_view, open_masks

from .masked import VIEW, pictures, rectangle, split_of


def seen(image, view):
    """The image as the network sees it: uint8 (size, size, 3)."""
    canvas = torch.from_numpy(to_canvas(image, view.canvas)).permute(2, 0, 1)
    return centre(canvas[None], view)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    "shape", [(40, 40), (40, 61), (73, 40), (128, 97), (20, 23), (32, 32), (33, 200)]
)
@pytest.mark.parametrize("view", [View(28, 32, 0), View(32, 32, 4), View(21, 25, 0)])
def test_mask_and_image_stay_aligned(shape, view):
    mask = rectangle(np.random.default_rng(sum(shape)), *shape)
    image = np.repeat(mask[:, :, None], 3, axis=2).astype(np.uint8) * 255
    found = in_view(mask[None], view)[0]
    wanted = seen(image, view)[:, :, 0]
    clear = (wanted < 20) | (wanted > 235)  # elsewhere an edge runs through the pixel
    assert clear.mean() > 0.7
    assert (found == (wanted > 127))[clear].all()
    assert 0 < found.mean() < 1


def test_a_mask_that_is_not_resized_is_only_cropped():
    mask = np.random.default_rng(0).random((1, 40, 32)) < 0.5
    np.testing.assert_array_equal(in_view(mask, View(28, 32, 0))[0], mask[0, 6:34, 2:30])


@pytest.fixture
def folder(tmp_path):
    """Images 000 to 003 with masks of classes sky and sea, but none of 003."""
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.txt").write_text("0 sky\n7 sea\n9 unlabelled\n")
    rng = np.random.default_rng(0)
    codes = rng.choice([0, 7, 9], size=(3, 20, 30)).astype(np.uint8)
    for number, code in enumerate(codes):
        Image.fromarray(code).save(tmp_path / "masks" / f"{number:03d}_L.png")
    return MaskFolder(tmp_path / "masks", tmp_path / "classes.txt", ending="_L"), codes


def test_masks_of_a_folder_are_read_as_concept_tables_read_them(folder):
    masks, codes = folder
    images = np.zeros((4, 20, 30, 3), dtype=np.uint8)
    source = open_masks(masks, split_of(images))
    assert source.names == ("sky", "sea")
    assert [source.has(i) for i in range(4)] == [True, True, True, False]
    planes = source.planes(1, ["sea", "sky"], (20, 30))
    np.testing.assert_array_equal(planes, [codes[1] != 9, codes[1] == 7, codes[1] == 0])


def test_coloured_masks_are_read(tmp_path):
    (tmp_path / "classes.txt").write_text("255 0 0 red\n0 0 0 void\n")
    (tmp_path / "masks").mkdir()
    pixels = np.zeros((4, 5, 3), dtype=np.uint8)
    pixels[1, 2] = 255, 0, 0
    Image.fromarray(pixels).save(tmp_path / "masks" / "000.png")
    masks = MaskFolder(tmp_path / "masks", tmp_path / "classes.txt")
    source = open_masks(masks, split_of(np.zeros((1, 4, 5, 3), dtype=np.uint8)))
    planes = source.planes(0, ["red"], (4, 5))
    assert np.argwhere(planes[0]).tolist() == np.argwhere(planes[1]).tolist() == [[1, 2]]


def test_batches_hold_images_and_masks_in_order():
    images, masks = pictures(7, height=24, width=31)
    masked = MaskedImages(
        split_of(images, masks), VIEW, open_masks(DATASET, split_of(images, masks)), ("both", "red")
    )
    batches = list(masked.batches(np.array([5, 0, 3]), 2))
    assert [batch.rows.tolist() for batch in batches] == [[5, 0], [3]]
    for batch in batches:
        assert batch.labelled.all()
        for place, row in enumerate(batch.rows):
            np.testing.assert_array_equal(batch.pictures[place], seen(images[row], VIEW))
            each = np.stack([masks[row]["both"], masks[row]["red"]])
            np.testing.assert_array_equal(batch.concepts[place], in_view(each, VIEW))


def test_concepts_that_are_never_to_be_seen_have_no_masks():
    images, masks = pictures(3)
    source = open_masks(DATASET, split_of(images, masks))
    assert source.names == ("both", "green", "red")
    assert "control:a" not in source.names


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: (f / "masks").rename(f / "gone"), "no folder of masks"),
        (lambda f: (f / "classes.txt").unlink(), "no file"),
        (lambda f: [x.unlink() for x in (f / "masks").iterdir()], "holds no masks at all"),
        (lambda f: (f / "masks" / "000_L.png").rename(f / "masks" / "x_L.png"), None),
        (lambda f: [x.rename(x.with_stem("z" + x.stem)) for x in (f / "masks").iterdir()], "none of the 4 images"),
        (lambda f: (f / "masks" / "000_L.bmp").write_bytes(b""), "not clear: 000_L.bmp, 000_L.png"),
    ],
)  # fmt: skip
def test_bad_folders_are_told_in_one_sentence(folder, tmp_path, change, words):
    change(tmp_path)
    images = split_of(np.zeros((4, 20, 30, 3), dtype=np.uint8))
    if words is None:
        assert not open_masks(folder[0], images).has(0)
        return
    with pytest.raises(PathLensError, match=words):
        open_masks(folder[0], images)


def test_bad_masks_are_told_in_one_sentence(folder, tmp_path):
    masks, _ = folder
    source = open_masks(masks, split_of(np.zeros((4, 20, 30, 3), dtype=np.uint8)))
    with pytest.raises(PathLensError, match=r"30 x 20 pixels, but its image 001\.png is 31 x 20"):
        source.planes(1, ["sea"], (20, 31))
    Image.fromarray(np.full((20, 30), 3, dtype=np.uint8)).save(tmp_path / "masks" / "000_L.png")
    with pytest.raises(PathLensError, match=r"class 3, which .*classes.txt does not name"):
        source.planes(0, ["sea"], (20, 30))
    (tmp_path / "masks" / "002_L.png").write_bytes(b"no picture")
    with pytest.raises(PathLensError, match="cannot be read"):
        source.planes(2, ["sea"], (20, 30))


def test_images_that_would_share_a_mask_are_refused(folder):
    images = replace(
        split_of(np.zeros((3, 20, 30, 3), dtype=np.uint8)), ids=("000.jpg", "000.png", "001.png")
    )
    with pytest.raises(PathLensError, match=r"not clear: 000\.jpg, 000\.png"):
        open_masks(folder[0], images)


def test_names_of_concepts_are_learnt_from_few_masks():
    images, masks = pictures(40)
    drawn = []
    split = split_of(images, masks)
    rows = [(name, concept, 1.0) for name in split.ids for concept in ("red", "green", "both")]
    rows += [
        (split.ids[7], "control:a", 1.0),
        (split.ids[8], "never", 0.0),
        (split.ids[9], "", 0.0),
    ]
    split = replace(
        split,
        concepts=pd.DataFrame(rows, columns=["image", "concept", "value"]),
        masks=lambda position: drawn.append(position) or masks[position],
    )
    assert open_masks(DATASET, split).names == ("both", "green", "red")
    assert drawn == [0, 7]


def test_data_without_masks_of_their_own_are_refused():
    images, _ = pictures(2)
    with pytest.raises(PathLensError, match="brings no masks"):
        open_masks(DATASET, split_of(images))
    with pytest.raises(PathLensError, match="'folder' is neither"):
        open_masks("folder", split_of(images))
