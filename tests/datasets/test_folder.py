import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathlens.datasets import load_dataset
from pathlens.datasets.base import UnreadableImageError
from pathlens.datasets.image_files import find_images, read_image
from pathlens.errors import PathLensError

SHARED = Path(os.environ.get("PATHLENS_SHARED", Path(__file__).parents[3] / "shared"))


def picture(path, value=100, size=(8, 8), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path, **options)


def fill(folder, classes, count=10, size=(8, 8)):
    for number, name in enumerate(classes):
        for i in range(count):
            picture(folder / name / f"{i:02d}.png", 20 * number + i, size)


@pytest.mark.parametrize("test_name", ["test", "val"])
def test_train_with_a_test_folder(tmp_path, test_name):
    fill(tmp_path / "train", ["dog", "cat", "ant"], 10)
    fill(tmp_path / test_name, ["dog", "cat"], 4)
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("ant", "cat", "dog")
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 27,
        "validation": 3,
        "test": 8,
    }
    test = dataset.split("test")
    assert test.ids[0] == f"{test_name}/cat/00.png"
    assert [dataset.classes[label] for label in test.labels] == ["cat"] * 4 + ["dog"] * 4
    assert test.read(5)[0, 0].tolist() == [1, 1, 1]  # dog was written first: values 0, 1, ...
    assert all(image.startswith("train/") for image in dataset.split("validation").ids)


def test_test_goes_before_val_and_that_is_said(tmp_path):
    fill(tmp_path / "train", ["a", "b"])
    fill(tmp_path / "val", ["a", "b"], 2)
    fill(tmp_path / "test", ["a", "b"], 3)
    with pytest.warns(UserWarning, match=r"val/ is left aside"):
        dataset = load_dataset(tmp_path)
    assert len(dataset.split("test")) == 6


def test_an_unlabelled_test_folder_gives_way_to_val(tmp_path):
    fill(tmp_path / "train", ["a", "b"])
    fill(tmp_path / "val", ["a", "b"], 2)
    picture(tmp_path / "test" / "1.png")
    assert len(load_dataset(tmp_path).split("test")) == 4


@pytest.mark.parametrize("seed", [0, 1])
def test_class_folders_are_split_by_seed(tmp_path, seed):
    fill(tmp_path, ["a", "b"], 20)
    dataset = load_dataset(tmp_path, seed=seed)
    counts = {name: np.bincount(split.labels).tolist() for name, split in dataset.splits.items()}
    assert counts == {"train": [14, 14], "validation": [2, 2], "test": [4, 4]}
    every = sorted(sum((split.ids for split in dataset.splits.values()), ()))
    assert every == [f"{name}/{i:02d}.png" for name in "ab" for i in range(20)]
    again = load_dataset(tmp_path, seed=seed)
    other = load_dataset(tmp_path, seed=seed + 10)
    assert again.split("test").ids == dataset.split("test").ids != other.split("test").ids


def test_a_class_may_be_called_train(tmp_path):
    fill(tmp_path, ["car", "train"], 5)
    assert load_dataset(tmp_path).classes == ("car", "train")


@pytest.mark.parametrize("classes", [["cat"], ["cat", "dog"]])
def test_a_test_folder_alone_has_test_images_only(tmp_path, classes):
    fill(tmp_path / "test", classes, count=4)
    data = load_dataset(tmp_path)
    assert set(data.splits) == {"test"}
    assert data.split("test").classes == tuple(classes)
    assert data.split("test").ids[0].startswith("test/cat/")
    assert data.native_size == 8
    assert len(data.split("test")) == 4 * len(classes)
    assert len(load_dataset(tmp_path, limit=2).split("test")) == 2
    with pytest.raises(PathLensError, match="'train'"):
        data.split("train")


def test_a_flat_folder_has_one_split_without_labels(tmp_path):
    for i in range(5):
        picture(tmp_path / f"{i}.png", i)
    dataset = load_dataset(tmp_path, limit=3)
    assert list(dataset.splits) == ["all"]
    assert len(dataset.split("all")) == 3
    assert dataset.split("all").labels is None
    assert dataset.classes == ()
    with pytest.raises(PathLensError, match="flat folder without labels"):
        dataset.split("test")


def test_what_counts_as_an_image(tmp_path):
    names = ["a.jpg", "b.JPEG", "c.Png", "d.bmp", "e.webp", "f.tif", "g.TIFF", "h.gif", "i.ppm"]
    for name in names:
        picture(tmp_path / name)
    for name in (".hidden.png", "notes.txt", "png", "x.png.part"):
        (tmp_path / name).write_text("no image")
    os.mkfifo(tmp_path / "pipe.png")
    picture(tmp_path / ".thumbs" / "1.png")
    split = load_dataset(tmp_path).split("all")
    assert list(split.ids) == sorted(names)
    for position in range(len(split)):
        assert split.read(position).shape == (8, 8, 3)


def test_images_lie_in_their_class_at_any_depth(tmp_path):
    picture(tmp_path / "cat" / "images" / "deep" / "1.png")
    picture(tmp_path / "cat" / "0.png")
    fill(tmp_path, ["dog"], 2)
    (tmp_path / "cat" / "round").symlink_to(tmp_path / "cat")
    ids = sum((split.ids for split in load_dataset(tmp_path).splits.values()), ())
    assert set(ids) == {"cat/0.png", "cat/images/deep/1.png", "dog/00.png", "dog/01.png"}


def test_loose_images_beside_class_folders_are_said(tmp_path):
    fill(tmp_path, ["a", "b"])
    picture(tmp_path / "cover.png")
    with pytest.warns(UserWarning, match="holds 1 image beside its class folders"):
        assert "cover.png" not in load_dataset(tmp_path).split("train").ids


def broken(name, folder):
    """Folders that cannot be used, and what has to be said about them."""
    match name:
        case "absent":
            return folder / "absent", "does not exist"
        case "file":
            picture(folder / "one.png")
            return folder / "one.png", "is a file"
        case "empty":
            return folder, "holds no images"
        case "no image inside":
            (folder / "notes.txt").write_text("nothing")
            return folder, "holds no images"
        case "one class":
            fill(folder, ["only"])
            return folder, "only one class folder, 'only'"
        case "one class in train":
            fill(folder / "train", ["only"])
            fill(folder / "val", ["only"])
            return folder, "only one class folder"
        case "class without images":
            fill(folder, ["a", "b"])
            (folder / "c").mkdir()
            return folder, r"class folder .*c holds no images"
        case "train without test":
            fill(folder / "train", ["a", "b"])
            return folder, "no class folders in test/ or val/"
        case "strange test class":
            fill(folder / "train", ["a", "b"])
            fill(folder / "test", ["a", "zebra"])
            return folder, "class 'zebra' without a folder"
    raise AssertionError(name)


@pytest.mark.parametrize(
    "name",
    [
        "absent",
        "file",
        "empty",
        "no image inside",
        "one class",
        "one class in train",
        "class without images",
        "train without test",
        "strange test class",
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(tmp_path, name):
    folder, sentence = broken(name, tmp_path)
    with pytest.raises(PathLensError, match=sentence) as caught:
        load_dataset(str(folder))
    assert "\n" not in str(caught.value)


def test_a_name_that_is_no_text_is_told(tmp_path):
    picture(tmp_path / "good.png")
    try:
        (tmp_path / os.fsdecode(b"b\xff.png")).write_bytes(b"")
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    with pytest.raises(PathLensError, match="not valid UTF-8"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([(8, 8)] * 5, 8), ([(8, 8), (8, 8), (9, 9)], None), ([(8, 6)] * 3, None)],
)
def test_native_size(tmp_path, sizes, expected):
    for i, size in enumerate(sizes):
        picture(tmp_path / f"{i}.png", size=size)
    (tmp_path / "broken.png").write_bytes(b"nothing")
    assert load_dataset(tmp_path).native_size == expected


def test_native_size_looks_at_both_ends(tmp_path):
    for i in range(200):
        picture(tmp_path / f"{i:03d}.png", size=(4, 4) if i < 199 else (5, 5))
    assert load_dataset(tmp_path).native_size is None


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (4, 2), "black")
    image.putpixel((0, 0), (255, 0, 0))
    exif = image.getexif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to view
    image.save(tmp_path / "a.png", exif=exif)
    pixels = read_image(tmp_path / "a.png")
    assert pixels.shape == (4, 2, 3)
    assert pixels[0, 1].tolist() == [255, 0, 0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "I"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    if mode.startswith("I"):
        values = np.full((4, 4), 200 * 256 + 7, np.uint16 if mode == "I;16" else np.int32)
        image = Image.fromarray(values)
    else:
        image = Image.new("L", (4, 4), 200).convert(mode)
    assert image.mode == mode
    image.save(tmp_path / "a.tif")
    pixels = read_image(tmp_path / "a.tif")
    assert pixels.dtype == np.uint8
    assert pixels.shape == (4, 4, 3)
    if mode != "1":
        np.testing.assert_allclose(pixels, 200, atol=2)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 4), (value, 0, 0)) for value in (250, 10)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif")[0, 0, 0] == 250


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "gif"])
def test_truncated_images_are_unreadable(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableImageError, match=rf"a\.{suffix}: "):
        read_image(path)


def test_the_reason_is_given(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(UnreadableImageError, match="cannot identify image file"):
        read_image(tmp_path / "text.png")
    with pytest.raises(UnreadableImageError, match="No such file"):
        read_image(tmp_path / "gone.png")
    Image.new("F", (2, 2)).save(tmp_path / "float.tif")
    with pytest.raises(UnreadableImageError, match="no known range"):
        read_image(tmp_path / "float.tif")


def test_an_unreadable_image_does_not_hinder_loading(tmp_path):
    fill(tmp_path, ["a", "b"])
    (tmp_path / "a" / "00.png").write_bytes(b"")
    dataset = load_dataset(tmp_path)
    failed = 0
    for split in dataset.splits.values():
        for position in range(len(split)):
            try:
                split.read(position)
            except UnreadableImageError:
                failed += 1
                assert split.ids[position] == "a/00.png"
    assert failed == 1


def test_finding_agrees_with_a_slow_walk(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(60):
        place = tmp_path.joinpath(*[f"d{n}" for n in rng.integers(0, 3, rng.integers(0, 4))])
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.{rng.choice(['png', 'JPG', 'txt'])}").touch()
    slow = [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()]
    assert find_images(tmp_path) == sorted(p for p in slow if not p.endswith("txt"))


def test_real_photographs():
    folder = SHARED / "data" / "flowers128"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there (set PATHLENS_SHARED)")
    dataset = load_dataset(folder, limit=50)
    assert dataset.classes == ("daisy", "dandelion", "rose", "sunflower", "tulip")
    assert dataset.native_size == 128
    assert np.bincount(dataset.split("test").labels).tolist() == [10] * 5
    assert dataset.split("test").read(0).shape == (128, 128, 3)
