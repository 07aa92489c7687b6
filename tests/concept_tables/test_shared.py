"""The sources on real data, against what its authors counted."""

import csv

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pathlens.concept_tables import (
    build_attributes,
    build_boxes,
    build_counts,
    build_hierarchy,
    build_masks,
)
from pathlens.concept_tables.counts import CIFAR10
from pathlens.concepts import concept_matrix, read_concepts, write_concepts


def folder(shared_data, name):
    if not (shared_data / name).is_dir():
        pytest.skip(f"{shared_data / name} is not there")
    return shared_data / name


def reread(table, path):
    """The table after a file, which changed nothing."""
    write_concepts(path, table)
    pd.testing.assert_frame_equal(read_concepts(path), table)
    return table


def images_of_concepts(table):
    return table[table["value"] > 0].groupby("concept")["image"].nunique().to_dict()


@pytest.mark.parametrize("name", ["camvid", "weizmann_horses"])
def test_masks_agree_with_the_counts_of_the_set(shared_data, tmp_path, name):
    data = folder(shared_data, name)
    table = build_masks(data / "masks", images=data / "images", classes=data / "classes.txt")
    reread(table, tmp_path / "masks.csv")
    with (data / "counts.tsv").open() as lines:
        rows = [row for row in csv.reader(lines, delimiter="\t") if row[1] != "unlabelled"]
    stated = {row[1]: int(row[2].removeprefix("images=")) for row in rows}
    assert images_of_concepts(table) == stated
    sizes = {i: Image.open(data / "images" / i).size for i in set(table["image"])}
    area = {image: width * height for image, (width, height) in sizes.items()}
    pixels = (table["value"] * table["image"].map(area)).groupby(table["concept"]).sum()
    for row in rows:
        assert round(pixels[row[1]]) == int(row[3].removeprefix("pixels="))


def test_boxes_and_hierarchy_of_photographs(shared_data, tmp_path):
    data = folder(shared_data, "tinyimagenet20_a")
    table = reread(build_boxes(data / "boxes.tsv", images=data), tmp_path / "boxes.parquet")
    assert table["image"].nunique() == len(table) == 7000
    boxes = pd.read_csv(data / "boxes.tsv", sep="\t").set_index("file")
    for row in table.sample(200, random_state=0).itertuples():
        box = boxes.loc[row.image]
        assert row.concept == box["wnid"]
        assert row.value == (box["x1"] - box["x0"] + 1) * (box["y1"] - box["y0"] + 1) / 64**2
    table = reread(build_hierarchy(data / "superclasses.tsv", images=data), tmp_path / "super.csv")
    matrix, known = concept_matrix(table, list(boxes.index))
    assert known.all()
    above = pd.read_csv(data / "superclasses.tsv", sep="\t", index_col=0)
    wanted = above.loc[boxes["wnid"], matrix.columns].to_numpy()
    assert (matrix.to_numpy() == wanted).all()


@pytest.fixture(scope="module")
def cifar_names(shared_data, tmp_path_factory):
    """Empty files named as the unpacked test images of CIFAR-10, and their labels."""
    root = tmp_path_factory.mktemp("cifar")
    archive = np.load(folder(shared_data, "cifar10") / "cifar10_jpeg_bytes.npz")
    for name in CIFAR10:
        for split in ("train", "test"):
            (root / split / name).mkdir(parents=True)
        (root / "train" / name / "00000.jpg").touch()
    labels = archive["test_labels"]
    for row, label in enumerate(labels.tolist()):
        (root / "test" / CIFAR10[label] / f"{row:05d}.jpg").touch()
    return root, [CIFAR10[label] for label in labels]


def test_human_counts_of_cifar10(shared_data, tmp_path, cifar_names):
    source = folder(shared_data, "tables") / "cifar10h-counts.npy"
    data, labels = cifar_names
    table = reread(build_counts(source, images=data), tmp_path / "counts.csv")
    ids = [f"test/{label}/{row:05d}.jpg" for row, label in enumerate(labels)]
    matrix, known = concept_matrix(table, ids)
    assert known.all()
    chosen = matrix.drop(columns="ambiguity").idxmax(axis=1).to_numpy()
    assert np.mean(chosen == np.array(labels)) == pytest.approx(0.9921, abs=5e-5)
    assert matrix["ambiguity"].between(0, 1).all()
    by_index = build_counts(source, images="cifar10")
    other, _ = concept_matrix(by_index, [f"test/{row:05d}" for row in range(10_000)])
    assert (other.to_numpy() == matrix.to_numpy()).all()


def test_attributes_of_animals(shared_data, cifar_names):
    tables = folder(shared_data, "tables")
    with pytest.warns(UserWarning, match="8 of 10 classes"):
        table = build_attributes(
            tables / "awa2-predicate-matrix-binary.txt",
            images=cifar_names[0],
            classes=tables / "awa2-classes.txt",
            attributes=tables / "awa2-predicates.txt",
        )
    kinds = table["image"].str.split("/").str[1]
    assert set(kinds) == {"deer", "horse"}
    has = table[table["value"] > 0].groupby(kinds)["concept"].agg(set)
    assert {"hooves", "quadrapedal", "vegetation"} <= has["deer"] & has["horse"]
    assert "horns" in has["deer"] - has["horse"]
    assert table["concept"].nunique() == 85
