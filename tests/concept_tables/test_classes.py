"""Sources that speak of classes: hierarchies and attributes."""

import numpy as np
import pytest

from pathlens.concept_tables import build_attributes, build_hierarchy
from pathlens.errors import PathLensError

from .helpers import blank, classed, matrix_of, write

KINDS = ("goose", "german_shepherd", "Ox")
IDS = [f"{split}/{kind}/{n}.png" for split in ("train", "val") for kind in KINDS for n in range(2)]


@pytest.fixture
def data(tmp_path):
    return classed(tmp_path / "data", IDS)


def kind_of(image):
    return image.split("/")[-2]


@pytest.mark.parametrize("seed", range(3))
def test_every_image_has_the_superclasses_of_its_folder(tmp_path, data, seed):
    rng = np.random.default_rng(seed)
    rows = {kind: rng.integers(0, 2, 5) for kind in rng.permutation([*KINDS, "absent"])}
    lines = ["name\t" + "\t".join(f"n{i}:s {i}" for i in range(5))]
    lines += [f"{kind}\t" + "\t".join(map(str, row)) for kind, row in rows.items()]
    table = build_hierarchy(write(tmp_path / "s.tsv", "\n".join(lines)), images=data)
    matrix = matrix_of(table, IDS)
    assert matrix.columns.tolist() == [f"n{i}:s {i}" for i in range(5)]
    for image in IDS:
        assert matrix.loc[image].tolist() == rows[kind_of(image)].tolist()


def test_a_folder_without_division_and_commas(tmp_path):
    ids = [f"{kind}/deep/{n}.png" for kind in "ab" for n in range(5)]
    data = classed(tmp_path / "data", ids)
    path = write(tmp_path / "s.csv", "class,bird\nb,1\na,0\n")
    matrix = matrix_of(build_hierarchy(path, images=data), ids)
    assert matrix["bird"].tolist() == [0] * 5 + [1] * 5


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("c\ts\ngoose\t1\nOx\t0\n", r"no row for 1 of the 3 classes .*\(german_shepherd\)"),
        ("c\ts\na\t1\nb\t0\n", "Unknown class of .*'Ox'"),
        ("c\ts\ngoose\t1\ngoose\t0\n", "two rows for the class 'goose'"),
        ("c\ts\ngoose\t0.5\n", "'goose' .*'0.5' for s, which is not 0 or 1"),
        ("c,s\ngoose,1\n", "needs a column of classes"),
        ("c\ts\n", "no rows"),
    ],
)
def test_bad_hierarchies_are_told_in_one_sentence(tmp_path, data, text, sentence):
    with pytest.raises(PathLensError, match=sentence) as caught:
        build_hierarchy(write(tmp_path / "s.tsv", text), images=data)
    assert "\n" not in str(caught.value)


def test_images_without_classes_are_refused(tmp_path):
    blank(tmp_path / "flat" / "a.png")
    path = write(tmp_path / "s.tsv", "c\ts\na\t1\n")
    with pytest.raises(PathLensError, match="no class folders"):
        build_hierarchy(path, images=tmp_path / "flat")
    with pytest.raises(PathLensError, match=r"no file .*none\.tsv"):
        build_hierarchy(tmp_path / "none.tsv", images=tmp_path / "flat")


def attribute_files(tmp_path, matrix, classes=("ox", "mole", "german+shepherd", "goose")):
    names = write(tmp_path / "c.txt", "".join(f"  {n + 1}\t{c}\n" for n, c in enumerate(classes)))
    columns = np.asarray(matrix).shape[1]
    attributes = write(tmp_path / "a.txt", "".join(f"{n}\tcan {n}\n" for n in range(columns)))
    text = "\n".join("  ".join(map(str, row)) for row in np.asarray(matrix).tolist())
    path = write(tmp_path / "m.txt", text + "\n")
    return path, {"classes": names, "attributes": attributes}


@pytest.mark.parametrize(("scale", "dtype"), [(1, int), (1, float), (100, float)])
@pytest.mark.parametrize("seed", range(2))
def test_every_image_has_the_attributes_of_its_class(tmp_path, data, seed, scale, dtype):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 2, (4, 6)) if dtype is int else rng.random((4, 6)) * scale
    path, names = attribute_files(tmp_path, matrix)
    matrices = [path, tmp_path / "m.npy"]
    np.save(matrices[1], matrix)
    row = {"Ox": 0, "german_shepherd": 2, "goose": 3}
    for source in matrices:
        table = build_attributes(source, images=data, scale=scale, **names)
        found = matrix_of(table, IDS)
        for image in IDS:
            wanted = [value / scale for value in matrix[row[kind_of(image)]].tolist()]
            assert found.loc[image].tolist() == wanted


def test_only_classes_of_the_data_and_known_attributes(tmp_path, data):
    matrix = np.array([[1, 0, 1], [-1, 1, 1], [0, -1, 1]])
    path, names = attribute_files(tmp_path, matrix, ("ox", "mole", "goose"))
    with pytest.warns(UserWarning, match="classes are not in|are unknown") as told:
        table = build_attributes(path, images=data, **names)
    messages = sorted(str(one.message) for one in told)
    assert "1 attributes are unknown" in messages[0]
    assert "can 1" in messages[0]
    assert "1 of 3 classes are not in" in messages[1]
    assert "german_shepherd" in messages[1]
    assert {kind_of(image) for image in table["image"]} == {"Ox", "goose"}
    matrix = matrix_of(table, sorted(set(table["image"])))
    assert matrix.columns.tolist() == ["can 0", "can 2"]
    for image, row in matrix.iterrows():
        assert row.tolist() == {"Ox": [1, 1], "goose": [0, 1]}[kind_of(image)]


def test_bad_attributes_are_told(tmp_path, data):
    good = np.eye(4, 3, dtype=int)
    path, names = attribute_files(tmp_path, good)
    write(path, "1 0 1\n")
    with pytest.raises(PathLensError, match="is 1 x 3, but there are 4 classes and 3 attributes"):
        build_attributes(path, images=data, **names)
    for text, sentence in [
        ("1 0 1\n1 0\n", "cannot be read as a matrix"),
        ("1 0 x\n", "cannot be read as a matrix"),
        ("1 0 nan\n", "not a matrix of finite numbers"),
        ("", "is empty"),
        ("50 0 1\n" * 4, "from 0 to 50, not from 0 to 1: .*--scale"),
        ("-2 0 1\n" * 4, "from -2 to 1"),
    ]:
        write(path, text)
        with pytest.raises(PathLensError, match=sentence) as caught:
            build_attributes(path, images=data, **names)
        assert "\n" not in str(caught.value)
    path, names = attribute_files(tmp_path, good, ("ox", "OX", "goose", "cow"))
    with pytest.raises(PathLensError, match="names the class 'OX' twice"):
        build_attributes(path, images=data, **names)
    path, names = attribute_files(tmp_path, good, ("a", "b", "c", "d"))
    with pytest.raises(PathLensError, match=r"none of the 3 classes .*called like a, b, c"):
        build_attributes(path, images=data, **names)
    with pytest.raises(PathLensError, match="scale 0"):
        build_attributes(path, images=data, scale=0, **names)
    write(names["classes"], "2 a\n1 b\n3 c\n4 d\n")
    with pytest.raises(PathLensError, match="do not count up"):
        build_attributes(path, images=data, **names)


def test_two_folders_of_one_class_are_refused(tmp_path):
    data = classed(
        tmp_path / "data", [f"{k}/{n}.png" for k in ("polar bear", "polar_bear") for n in "01"]
    )
    path, names = attribute_files(tmp_path, np.ones((1, 2)), ("polar+bear",))
    with pytest.raises(PathLensError, match="Two class folders"):
        build_attributes(path, images=data, **names)
