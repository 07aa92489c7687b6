import math
from pathlib import Path

import numpy as np
import pytest

from pathlens.concept_tables import build_counts
from pathlens.concept_tables.counts import CIFAR10
from pathlens.errors import PathLensError

from .helpers import blank, classed, matrix_of, write

KINDS = ("ant", "bee", "cow")


def labelled(seed, rows=12):
    """Labels of `rows` images, all classes among them, and counts that mostly agree with them."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(rows) % 3)
    counts = rng.integers(0, 5, (rows, 3))
    counts[np.arange(rows), labels] += 10
    return labels, counts


def ids_of(labels, prefix=""):
    return [f"{prefix}{KINDS[label]}/{row:05d}.jpg" for row, label in enumerate(labels)]


@pytest.fixture
def counts_file(tmp_path):
    def save(counts):
        np.save(tmp_path / "counts.npy", counts)
        return tmp_path / "counts.npy"

    return save


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("prefix", ["", "test/"])
def test_shares_and_entropy_of_every_row(tmp_path, counts_file, seed, prefix):
    labels, counts = labelled(seed)
    ids = ids_of(labels, prefix)
    data = classed(tmp_path / "data", ids)
    if prefix:
        # training images have the same names; they are not meant
        classed(data, ids_of(labels, "train/"))
    table = build_counts(counts_file(counts), images=data)
    assert set(table["image"]) == set(ids)
    matrix = matrix_of(table, ids)
    for image, row in zip(ids, counts.tolist(), strict=True):
        shares = [count / sum(row) for count in row]
        assert matrix.loc[image, list(KINDS)].tolist() == shares
        bits = sum(-share * math.log2(share) for share in shares if share)
        assert matrix.loc[image, "ambiguity"] == pytest.approx(bits / math.log2(3))


def test_ambiguity_goes_from_agreement_to_indifference(tmp_path, counts_file):
    data = classed(tmp_path / "data", ["ant/0.png", "ant/3.png", "bee/1.png", "cow/2.png"])
    counts = np.array([[9, 0, 0], [0, 2, 0], [3, 3, 3], [4, 4, 0]])
    names = ["ant/0.png", "bee/1.png", "cow/2.png", "ant/3.png"]
    matrix = matrix_of(build_counts(counts_file(counts), images=data), names)
    assert matrix["ambiguity"].tolist() == pytest.approx([0, 0, 1, 1 / math.log2(3)])
    table = build_counts(counts_file(counts), images=data, ambiguity=False)
    assert set(table["concept"]) == set(KINDS)


def test_some_images_may_be_missing_or_unlabelled(tmp_path, counts_file):
    labels, counts = labelled(0)
    ids = ids_of(labels)
    counts[4] = 0
    data = classed(tmp_path / "data", [name for name in ids if "00007" not in name])
    with pytest.warns(UserWarning, match=f"1 images were labelled by nobody .*{ids[4]}"):
        table = build_counts(counts_file(counts), images=data)
    assert set(table["image"]) == set(ids) - {ids[4], ids[7]}


def test_images_without_classes_need_names(tmp_path, counts_file):
    for row in range(3):
        blank(tmp_path / "flat" / f"{row}.png")
    counts = np.eye(3, 2, dtype=int) + 1
    names = write(tmp_path / "names.txt", "left\nright\n")
    table = build_counts(counts_file(counts), images=tmp_path / "flat", classes=names)
    matrix = matrix_of(table, [f"{row}.png" for row in range(3)])
    assert matrix["left"].tolist() == [2 / 3, 1 / 3, 1 / 2]
    with pytest.raises(PathLensError, match="no class folders"):
        build_counts(counts_file(counts), images=tmp_path / "flat")


def test_the_archive_of_cifar10_needs_no_images(counts_file, tmp_path):
    counts = np.zeros((10_000, 10), dtype=int)
    chosen = np.random.default_rng(0).integers(0, 10, 10_000)
    counts[np.arange(10_000), chosen] = 5
    table = build_counts(counts_file(counts), images="cifar10", ambiguity=False)
    assert table["image"].tolist() == [f"test/{row:05d}" for row in range(10_000)]
    assert table["concept"].tolist() == [CIFAR10[one] for one in chosen]
    with pytest.raises(PathLensError, match="10,000 test images, but there are counts of 9"):
        build_counts(counts_file(counts[:9]), images="cifar10")
    with pytest.raises(PathLensError, match="cifar10 does not exist"):
        build_counts(counts_file(counts), images=Path("cifar10"))


def test_bad_counts_are_told(tmp_path, counts_file):
    labels, counts = labelled(1)
    data = classed(tmp_path / "data", ids_of(labels))
    for wrong, sentence in [
        (np.roll(counts, 1, axis=1), "for only 0% of the images"),
        (counts[:, :2], "has 2 columns, but there are 3 classes"),
        (counts[:5], "is not a row of .*rows 0 to 4"),
        (-counts, "negative counts"),
        (counts * 0, "Nobody labelled|only 33%"),
        (counts.ravel(), "not a matrix"),
        (counts.astype(str), "cannot be read"),
        (counts + 1j, "cannot be read"),
        (counts * np.nan, "not a matrix of finite"),
    ]:
        with pytest.raises(PathLensError, match=sentence) as caught:
            build_counts(counts_file(wrong), images=data)
        assert "\n" not in str(caught.value)
    write(tmp_path / "counts.npy", "no array")
    with pytest.raises(PathLensError, match="cannot be read as a matrix"):
        build_counts(tmp_path / "counts.npy", images=data)
    with pytest.raises(PathLensError, match="no file"):
        build_counts(tmp_path / "none.npy", images=data)


def test_names_that_are_no_row_or_twice_the_same_are_told(tmp_path, counts_file):
    labels, counts = labelled(2)
    data = classed(tmp_path / "data", ids_of(labels))
    blank(data / "cow" / "0.png")
    with pytest.raises(PathLensError, match="are both row 0 of"):
        build_counts(counts_file(counts), images=data)
    (data / "cow" / "0.png").unlink()
    blank(data / "cow" / "x7.png")
    with pytest.raises(PathLensError, match=r"cow/x7\.png is not a row"):
        build_counts(counts_file(counts), images=data)


def test_a_class_called_ambiguity_is_refused(tmp_path, counts_file):
    data = classed(
        tmp_path / "data", ["ambiguity/0.png", "ambiguity/2.png", "bee/1.png", "bee/3.png"]
    )
    counts = np.array([[1, 0], [0, 1]] * 2)
    with pytest.raises(PathLensError, match="--no-ambiguity"):
        build_counts(counts_file(counts), images=data)
    assert len(build_counts(counts_file(counts), images=data, ambiguity=False)) == 4
