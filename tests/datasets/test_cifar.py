import hashlib
import pickle
from urllib.error import URLError

import numpy as np
import pytest
import torchvision.datasets

from pathlens.datasets import load_dataset
from pathlens.errors import PathLensError

LAYOUTS = {
    "cifar10": ("CIFAR10", "labels", "label_names", 10),
    "cifar100": ("CIFAR100", "fine_labels", "fine_label_names", 100),
}


class Archive:
    """A small archive of the layout of the real one, in a folder that PATHLENS_DATA names."""

    def __init__(self, name, root, monkeypatch):
        attribute, self.label_key, name_key, self.classes = LAYOUTS[name]
        self.source = getattr(torchvision.datasets, attribute)
        self.folder = root / self.source.base_folder
        self.folder.mkdir(parents=True)
        self.monkeypatch = monkeypatch
        self.rng = np.random.default_rng(0)
        self.batches = {}
        for kind in ("train_list", "test_list"):
            listed = [[file, self.batch(file)] for file, _ in getattr(self.source, kind)]
            monkeypatch.setattr(self.source, kind, listed)
        names = {name_key: [f"class {i}" for i in range(self.classes)]}
        meta = self.source.meta
        monkeypatch.setattr(
            self.source, "meta", {**meta, "md5": self.write(meta["filename"], names)}
        )

    def batch(self, file):
        count = 3 * self.classes
        data = self.rng.integers(0, 256, (count, 3072), dtype=np.uint8)
        labels = self.rng.permutation(np.arange(count) % self.classes).tolist()
        self.batches[file] = (data, labels)
        return self.write(file, {"data": data, self.label_key: labels})

    def write(self, file, content):
        raw = pickle.dumps(content)
        (self.folder / file).write_bytes(raw)
        return hashlib.md5(raw).hexdigest()


@pytest.fixture(params=["cifar10", "cifar100"])
def archive(request, tmp_path, monkeypatch):
    monkeypatch.setenv("PATHLENS_DATA", str(tmp_path))
    made = Archive(request.param, tmp_path, monkeypatch)
    made.name = request.param
    return made


def test_images_labels_and_ids_are_those_of_the_archive(archive):
    dataset = load_dataset(archive.name)
    assert dataset.native_size == 32
    assert dataset.classes == tuple(f"class {i}" for i in range(archive.classes))
    train_files = [file for file, _ in archive.source.train_list]
    data = np.concatenate([archive.batches[file][0] for file in train_files])
    labels = np.concatenate([archive.batches[file][1] for file in train_files])
    ids = dataset.split("train").ids + dataset.split("validation").ids
    assert sorted(ids) == [f"train/{i:05d}" for i in range(len(data))]
    for name in ("train", "validation"):
        split = dataset.split(name)
        for position in range(0, len(split), 7):
            index = int(split.ids[position].split("/")[1])
            planes = data[index].reshape(3, 32, 32)  # written out: red plane, green plane, blue
            np.testing.assert_array_equal(split.read(position), np.stack(planes, axis=2))
            assert split.labels[position] == labels[index]
    assert dataset.split("test").ids[0] == "test/00000"
    assert len(dataset.split("test")) == 3 * archive.classes


def test_limit_is_class_balanced(archive):
    dataset = load_dataset(archive.name, limit=2 * archive.classes)
    assert set(np.bincount(dataset.split("test").labels)) == {2}


def test_a_damaged_file_is_told(archive):
    target = archive.folder / archive.source.train_list[0][0]
    target.write_bytes(target.read_bytes()[:-100])
    with pytest.raises(PathLensError, match=r"damaged or incomplete.*--download"):
        load_dataset(archive.name)


def test_a_missing_file_is_told(archive):
    (archive.folder / archive.source.meta["filename"]).unlink()
    with pytest.raises(PathLensError, match="damaged or incomplete"):
        load_dataset(archive.name)


@pytest.mark.parametrize(
    "content",
    [b"no pickle", pickle.dumps({}), pickle.dumps({"data": np.zeros((4, 9), np.uint8)})],
    ids=["no pickle", "no keys", "wrong shape"],
)
def test_content_that_makes_no_sense_is_told(archive, content, monkeypatch):
    file = archive.source.test_list[0][0]
    (archive.folder / file).write_bytes(content)
    monkeypatch.setattr(archive.source, "test_list", [[file, hashlib.md5(content).hexdigest()]])
    with pytest.raises(PathLensError, match="damaged or incomplete"):
        load_dataset(archive.name)


def test_download_of_what_is_there_fetches_nothing(archive, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("fetched")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    assert load_dataset(archive.name, download=True).native_size == 32


@pytest.mark.parametrize("name", LAYOUTS)
def test_nothing_is_fetched_unasked(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PATHLENS_DATA", str(tmp_path / "absent"))
    with pytest.raises(PathLensError, match=rf"{name} is not there.*--download"):
        load_dataset(name)
    assert not (tmp_path / "absent").exists()


def test_a_failed_download_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATHLENS_DATA", str(tmp_path))

    def fail(*_, **__):
        raise URLError("no route")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", fail)
    with pytest.raises(PathLensError, match=r"could not be fetched.*no route"):
        load_dataset("cifar10", download=True)
