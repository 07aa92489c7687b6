import numpy as np
import pytest
from PIL import Image

from pathlens.concept_tables import build_masks
from pathlens.datasets import load_dataset
from pathlens.errors import PathLensError

from .helpers import blank, matrix_of, save, write

CLASSES = "0\tsky\n1\troad works\n7\tcar\n11\tunlabelled\n"
NAMES = {0: "sky", 1: "road works", 7: "car"}


def shares_by_loop(mask, labelled_only):
    """Every pixel looked at, one after the other."""
    counts, total = dict.fromkeys(NAMES.values(), 0), 0
    for row in mask.tolist():
        for code in row:
            total += code != 11 or not labelled_only
            if code in NAMES:
                counts[NAMES[code]] += 1
    return {name: count / total for name, count in counts.items()}


@pytest.fixture
def classes(tmp_path):
    return write(tmp_path / "classes.txt", CLASSES)


def folders(tmp_path, masks):
    for name, mask in masks.items():
        blank(tmp_path / "images" / f"{name}.jpg", *mask.shape)
        save(tmp_path / "masks" / f"{name}.png", mask)
    return tmp_path / "masks", tmp_path / "images"


@pytest.mark.parametrize("share_of", ["image", "labelled"])
@pytest.mark.parametrize("seed", range(3))
def test_shares_are_those_of_a_loop_over_pixels(tmp_path, classes, seed, share_of):
    rng = np.random.default_rng(seed)
    masks = {
        f"{folder}/{n}": rng.choice([0, 1, 7, 11], size=rng.integers(2, 9, size=2)).astype(np.uint8)
        for folder in ("a", "b/deep")
        for n in range(4)
    }
    for mask in masks.values():
        mask[0, 0] = 7
    masks["a/0"][:] = 1
    folder, images = folders(tmp_path, masks)
    table = build_masks(folder, images=images, classes=classes, share_of=share_of)
    assert set(table["image"]) == {f"{name}.jpg" for name in masks}
    matrix = matrix_of(table, [f"{name}.jpg" for name in masks])
    for name, mask in masks.items():
        assert matrix.loc[f"{name}.jpg"].to_dict() == shares_by_loop(mask, share_of == "labelled")


def test_ids_are_those_of_the_data_set_and_rows_are_sorted(tmp_path, classes):
    mask = np.zeros((4, 4), dtype=np.uint8)
    names = [f"{split}/{kind}/{n}" for split in ("train", "val") for kind in "xy" for n in range(6)]
    folder, images = folders(tmp_path, dict.fromkeys(names, mask))
    table = build_masks(folder, images=images, classes=classes)
    recorded = [name for split in load_dataset(images).splits.values() for name in split.ids]
    assert set(table["image"]) == set(recorded)
    keys = list(zip(table["image"], table["concept"], strict=True))
    assert keys == sorted(keys)


def test_an_image_without_concepts_is_named_and_a_concept_without_images_too(tmp_path, classes):
    masks = {"a": np.full((3, 3), 11, dtype=np.uint8), "b": np.zeros((3, 3), dtype=np.uint8)}
    folder, images = folders(tmp_path, masks)
    matrix = matrix_of(build_masks(folder, images=images, classes=classes), ["a.jpg", "b.jpg"])
    assert matrix.columns.tolist() == ["car", "road works", "sky"]
    assert matrix.to_numpy().tolist() == [[0, 0, 0], [0, 0, 1]]
    with pytest.warns(UserWarning, match="1 images have no labelled pixel"):
        table = build_masks(folder, images=images, classes=classes, share_of="labelled")
    assert set(table["image"]) == {"b.jpg"}


def test_unlabelled_classes_can_be_chosen(tmp_path, classes):
    folder, images = folders(tmp_path, {"a": np.array([[0, 1, 11, 255]], dtype=np.uint8)})
    table = build_masks(folder, images=images, classes=classes, void=["sky", "255"])
    assert matrix_of(table, ["a.jpg"]).loc["a.jpg"].to_dict() == {
        "car": 0,
        "road works": 0.25,
        "unlabelled": 0.25,
    }
    with pytest.raises(PathLensError, match="'cars': did you mean car"):
        build_masks(folder, images=images, classes=classes, void=["cars"])


def test_masks_may_be_coloured_or_have_a_palette(tmp_path):
    colours = write(tmp_path / "colours.txt", "128 64 0 road\n0 0 200 sky\n0,0,0,void\n")
    pixels = np.zeros((2, 4, 3), dtype=np.uint8)
    pixels[0] = (128, 64, 0)
    pixels[1, 0] = (0, 0, 200)
    save(tmp_path / "masks" / "a.png", pixels)
    blank(tmp_path / "images" / "a.png", 2, 4)
    blank(tmp_path / "images" / "b.png", 2, 4)
    quantised = Image.fromarray(pixels).quantize(8)
    quantised.save(tmp_path / "masks" / "b.png")
    table = build_masks(tmp_path / "masks", images=tmp_path / "images", classes=colours)
    matrix = matrix_of(table, ["a.png", "b.png"])
    assert matrix.to_numpy().tolist() == [[0.5, 0.125], [0.5, 0.125]]
    numbers = write(tmp_path / "numbers.txt", "0 a\n1 b\n2 c\n")
    (tmp_path / "masks" / "a.png").unlink()
    with pytest.warns(UserWarning, match="1 images have no mask"):
        table = build_masks(tmp_path / "masks", images=tmp_path / "images", classes=numbers)
    assert sorted(table["value"]) == [0.125, 0.375, 0.5]


def test_sixteen_bit_numbers_and_bilevel_masks(tmp_path):
    classes = write(tmp_path / "classes.txt", "0 ground\n1 figure\n40000 far\n")
    save(tmp_path / "masks" / "a.png", np.array([[0, 40000, 40000, 1]], dtype=np.uint16))
    Image.fromarray(np.array([[True, False, True, True]])).save(tmp_path / "masks" / "b.png")
    for name in "ab":
        blank(tmp_path / "images" / f"{name}.png", 1, 4)
    table = build_masks(tmp_path / "masks", images=tmp_path / "images", classes=classes)
    matrix = matrix_of(table, ["a.png", "b.png"])
    assert matrix[["ground", "figure", "far"]].to_numpy().tolist() == [
        [0.25, 0.25, 0.5],
        [0.25, 0.75, 0],
    ]


def test_an_image_held_upright_has_an_upright_mask(tmp_path, classes):
    (tmp_path / "images").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5, 3)).save(tmp_path / "images" / "a.jpg", exif=exif)
    save(tmp_path / "masks" / "a.png", np.zeros((5, 3), dtype=np.uint8))
    table = build_masks(tmp_path / "masks", images=tmp_path / "images", classes=classes)
    assert matrix_of(table, ["a.jpg"]).loc["a.jpg", "sky"] == 1


def test_endings_and_what_has_no_partner(tmp_path, classes):
    mask = np.zeros((6, 8), dtype=np.uint8)
    for name in ("a_L.png", "b.png", "gone_L.png"):
        save(tmp_path / "masks" / name, mask)
    for name in ("a.jpg", "b.jpg"):
        blank(tmp_path / "images" / name)
    with pytest.warns(UserWarning, match="left out|unknown") as told:
        table = build_masks(
            tmp_path / "masks", images=tmp_path / "images", classes=classes, ending="_L"
        )
    assert set(table["image"]) == {"a.jpg"}
    assert sorted(str(one.message).split(" and ")[0] for one in told) == [
        "1 images have no mask",
        "1 masks have no image",
    ]


@pytest.mark.parametrize(
    ("classes_text", "mask", "mask_name", "sentence"),
    [
        (CLASSES, np.zeros((5, 8), np.uint8), "a.png", "8 x 5 pixels, but its image .* 8 x 6"),
        (CLASSES, np.full((6, 8), 3, np.uint8), "a.png", "48 pixels of class 3, .*--void 3"),
        (CLASSES, np.zeros((6, 8, 3), np.uint8), "a.png", "has colours .*red green blue name"),
        ("1 2 3 a\n", np.zeros((6, 8, 3), np.uint8), "a.png", "of class 0,0,0, .*--void 0,0,0"),
        (CLASSES, np.zeros((6, 8), np.uint8), "other.png", "matches none of the 1 images"),
        (CLASSES, np.zeros((6, 8), np.uint8), "a.jpg", "holds no masks"),
        ("sky\nroad\n", np.zeros((6, 8), np.uint8), "a.png", "'sky' .*is not 'number name'"),
        ("0 sky\n0 road\n", np.zeros((6, 8), np.uint8), "a.png", "same number or colour"),
        ("0 sky\n1 sky\n", np.zeros((6, 8), np.uint8), "a.png", "Two concepts are called 'sky'"),
        ("300 0 0 sky\n", np.zeros((6, 8), np.uint8), "a.png", "end at 255"),
        ("11 void\n", np.zeros((6, 8), np.uint8), "a.png", "no class that is not unlabelled"),
        ("", np.zeros((6, 8), np.uint8), "a.png", "is empty"),
    ],
)
def test_bad_input_is_told_in_one_sentence(tmp_path, classes_text, mask, mask_name, sentence):
    classes = write(tmp_path / "classes.txt", classes_text)
    blank(tmp_path / "images" / "a.png")
    save(tmp_path / "masks" / mask_name, mask)
    with pytest.raises(PathLensError, match=sentence) as caught:
        build_masks(tmp_path / "masks", images=tmp_path / "images", classes=classes)
    assert "\n" not in str(caught.value)


def test_what_is_missing_damaged_or_ambiguous_is_told(tmp_path, classes):
    masks, images = tmp_path / "masks", tmp_path / "images"
    blank(images / "a.png")
    with pytest.raises(PathLensError, match="no folder of masks"):
        build_masks(masks, images=images, classes=classes)
    (masks / "x").mkdir(parents=True)
    write(masks / "a.png", "no picture")
    with pytest.raises(PathLensError, match=r"mask .*a\.png cannot be read"):
        build_masks(masks, images=images, classes=classes)
    save(masks / "a.png", np.zeros((6, 8), np.uint8))
    with pytest.raises(PathLensError, match=r"There is no file .*none\.txt"):
        build_masks(masks, images=images, classes=tmp_path / "none.txt")
    with pytest.raises(PathLensError, match="'image' or 'labelled'"):
        build_masks(masks, images=images, classes=classes, share_of="all")
    save(masks / "a.bmp", np.zeros((6, 8), np.uint8))
    with pytest.raises(PathLensError, match=r"not clear: a.bmp, a.png"):
        build_masks(masks, images=images, classes=classes)
    (masks / "a.bmp").unlink()
    blank(images / "a.jpg")
    with pytest.raises(PathLensError, match=r"not clear: a.jpg, a.png"):
        build_masks(masks, images=images, classes=classes)
    (images / "a.jpg").unlink()
    write(images / "a.png", "no picture")
    with pytest.raises(PathLensError, match=r"image .*a\.png cannot be read"):
        build_masks(masks, images=images, classes=classes)
    with pytest.raises(PathLensError, match="does not exist"):
        build_masks(masks, images=tmp_path / "absent", classes=classes)
