import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pathlens.datasets import Dataset, ImageSplit, load_dataset
from pathlens.errors import PathLensError


@pytest.mark.parametrize("name", ["scenes", "scenes:shortcut", "digits"])
def test_embedded_sets_have_three_splits(name):
    dataset = load_dataset(name)
    assert isinstance(dataset, Dataset)
    assert dataset.name == name
    assert list(dataset.splits) == ["train", "validation", "test"]
    sizes = []
    for key, split in dataset.splits.items():
        assert isinstance(split, ImageSplit)
        assert split.name == key
        assert split.classes == dataset.classes
        assert len(split.ids) == len(set(split.ids)) == len(split.labels)
        assert split.read(len(split) - 1).shape == (dataset.native_size, dataset.native_size, 3)
        sizes.append(len(split))
    assert sizes[1] / (sizes[0] + sizes[1]) == pytest.approx(0.1, abs=0.005)


def test_validation_images_come_from_training():
    dataset = load_dataset("scenes")
    ids = dataset.split("train").ids + dataset.split("validation").ids
    assert sorted(ids) == [f"train/{i:05d}" for i in range(3000)]
    assert set(np.bincount(dataset.split("validation").labels)) == {30}


@pytest.mark.parametrize("seed", [0, 4])
def test_limit_keeps_that_many_of_training_and_of_test(seed):
    dataset = load_dataset("scenes", seed=seed, limit=200)
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 180, "validation": 20, "test": 200}
    for split in dataset.splits.values():
        assert len(set(np.bincount(split.labels, minlength=10))) == 1
    named = set(dataset.split("test").concepts["image"])
    assert named == set(dataset.split("test").ids)
    assert len(load_dataset("scenes", limit=2000).split("test")) == 1000


def test_a_limited_set_has_the_pictures_of_the_whole():
    part, whole = load_dataset("scenes", limit=50).split("test"), load_dataset("scenes")
    position = whole.split("test").ids.index(part.ids[33])
    np.testing.assert_array_equal(part.read(33), whole.split("test").read(position))
    for name, mask in part.masks(33).items():
        np.testing.assert_array_equal(mask, whole.split("test").masks(position)[name])


def test_seed_decides_the_pictures():
    one, other = load_dataset("scenes", seed=1), load_dataset("scenes", seed=2)
    assert (one.split("test").read(0) != other.split("test").read(0)).mean() > 0.5


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("scene", r"Unknown data set 'scene': did you mean .*scenes.*image folder"),
        ("cifar11", "cifar10"),
        ("xyz", "known: scenes"),
        ("no/such/folder", "does not exist"),
        ("scenes:short", "scenes:shortcut"),
    ],
)
def test_unknown_names_are_told(spec, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PathLensError, match=sentence):
        load_dataset(spec)


def test_bad_seed_and_limit_are_told():
    with pytest.raises(PathLensError, match="negative"):
        load_dataset("digits", seed=-1)
    with pytest.raises(PathLensError, match="at least 1"):
        load_dataset("digits", limit=0)


def test_a_name_goes_before_a_folder(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / "digits" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (4, 4)).save(tmp_path / "digits" / name / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    assert len(load_dataset("digits").classes) == 10
    assert load_dataset("./digits").classes == ("a", "b")


def test_a_plain_folder_name_will_do(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "photos" / "1.png")
    monkeypatch.chdir(tmp_path)
    assert load_dataset("photos").split("all").ids == ("1.png",)


def test_an_unknown_split_lists_those_that_exist():
    with pytest.raises(PathLensError, match="test"):
        load_dataset("digits").split("tets")


def test_the_room_opens_without_heavy_imports():
    code = (
        "import sys, pathlens.datasets as room; assert 'pandas' not in sys.modules;"
        "room.load_dataset('scenes', limit=20);"
        "assert not {'torch', 'torchvision', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_room_has_no_other_names():
    import pathlens.datasets as room

    with pytest.raises(AttributeError, match="nonsense"):
        _ = room.nonsense
