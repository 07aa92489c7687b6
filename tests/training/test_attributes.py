"""Attributes of the auxiliary classifiers, from tables and by lot."""

import numpy as np
import pandas as pd
import pytest
import torch

from pathlens.datasets import ImageSplit
from pathlens.decoupling import decouple
from pathlens.errors import PathLensError
from pathlens.models import build_model
from pathlens.training.attributes import (
    ClassAttribute,
    ConceptAttribute,
    InstanceAttribute,
    SuperclassAttribute,
    attribute_values,
)
from pathlens.training.objective import Objective
from pathlens.training.recipe import Losses

CLASSES = ("ant", "bee", "cat", "dog")


def split(labels=(3, 0, 2, 1, 2, 0), concepts=None):
    labels = np.asarray(labels, dtype=np.int64)
    ids = tuple(f"train/{i}" for i in range(len(labels)))
    return ImageSplit("train", ids, labels, CLASSES, lambda i: None, concepts=concepts)


@pytest.fixture
def table(tmp_path):
    def write(text, name="classes.csv"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_the_class_is_the_label():
    found = ClassAttribute().of(split())
    assert found.values.tolist() == [3, 0, 2, 1, 2, 0]
    assert found.count == 4


def test_a_superclass_is_what_the_table_says_of_the_class(table):
    text = "class,group\ndog,mammal\nant,insect\ncat,mammal\nbee,insect\neel,fish\n"
    found = SuperclassAttribute(table(text)).of(split())
    assert found.values.tolist() == [1, 0, 1, 0, 1, 0]
    assert found.count == 2


MEMBERS = (
    "wnid\tn1:animal\tn2:insect\tn3:pet\nant\t1\t1\t0\nbee\t1\t1\t0\ncat\t1\t0\t1\ndog\t1\t0\t1\n"
)


def test_classes_with_the_same_memberships_have_the_same_value(table):
    name = table(MEMBERS.replace("bee\t1\t1\t0", "bee\t1\t1\t1"), "members.tsv")
    found = SuperclassAttribute(name).of(split())
    assert found.count == 3
    assert len(set(found.values.tolist())) == 3
    assert found.values[0] == found.values[2]  # dog and cat
    assert found.values[1] == found.values[5]  # ant twice


@pytest.mark.parametrize("column", ["insect", "n2:insect"])
def test_one_superclass_of_several(table, column):
    found = SuperclassAttribute(table(MEMBERS, "members.tsv"), column).of(split())
    assert found.values.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_class_without_an_entry_is_unknown(table):
    found = SuperclassAttribute(table("c,g\nant,x\nbee,y\ncat,\ndog,x\n")).of(split())
    assert found.values.tolist() == [0, 0, -100, 1, -100, 0]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("class,group\nant,a\nbee,b\ncat,a\n", "", "no row for class 'dog'"),
        ("class\nant\nbee\ncat\ndog\n", "", "at least one column more"),
        ("c,g\nant,a\nant,b\nbee,b\ncat,a\ndog,a\n", "", "names every class once"),
        ("c,g\nant,a\nbee,a\ncat,a\ndog,a\n", "", "the same for all training images"),
        ("c,g\nant,\nbee,\ncat,\ndog,\n", "", "unknown for all training images"),
        ("c,group\nant,a\nbee,b\ncat,a\ndog,a\n", "grup", "Unknown column .* 'grup'.*group"),
        ("", "", "cannot be read"),
    ],
)
def test_a_bad_table_says_what_is_wrong(table, text, column, message):
    with pytest.raises(PathLensError, match=message):
        SuperclassAttribute(table(text), column).of(split())


def test_a_missing_table_is_said():
    with pytest.raises(PathLensError, match=r"superclasses nowhere\.csv cannot be read"):
        SuperclassAttribute("nowhere.csv").of(split())


def test_the_shared_table_of_superclasses_fits_its_images(shared_data):
    from pathlens.datasets import load_dataset

    folder = shared_data / "tinyimagenet20_a"
    if not (folder / "superclasses.tsv").is_file():
        pytest.skip(f"{folder} is not there")
    images = load_dataset(folder, limit=400).split("train")
    table = pd.read_csv(folder / "superclasses.tsv", sep="\t", index_col=0)
    found = SuperclassAttribute(str(folder / "superclasses.tsv"), "dog").of(images)
    expected = [table.loc[images.classes[i], "n02084071:dog"] for i in images.labels]
    assert found.values.tolist() == expected
    every = SuperclassAttribute(str(folder / "superclasses.tsv")).of(images)
    assert every.count == len(table.drop_duplicates())


def test_a_concept_is_had_lacked_or_unknown(table):
    name = table(
        "image,concept,value\ntrain/0,red,1\ntrain/1,red,0.4\ntrain/2,red,0.5\ntrain/3,,\n"
        "train/4,round,1\n"
    )
    found = ConceptAttribute("red", name).of(split())
    assert found.values.tolist() == [1, 0, 1, 0, 0, -100]
    assert found.count == 2


def test_the_data_set_may_know_its_concepts():
    known = pd.DataFrame({"image": ["train/1", "train/2"], "concept": ["red", ""], "value": 1.0})
    found = ConceptAttribute("red").of(split(concepts=known))
    assert found.values.tolist() == [-100, 1, 0, -100, -100, -100]


def test_bad_concepts_are_said(table):
    with pytest.raises(PathLensError, match="knows no concepts"):
        ConceptAttribute("red").of(split())
    name = table("image,concept\ntrain/0,red\ntrain/1,round\n")
    with pytest.raises(PathLensError, match=r"Unknown concept 'rad'.*red"):
        ConceptAttribute("rad", name).of(split())
    with pytest.raises(PathLensError, match="matches none of the 6 images"):
        ConceptAttribute("red", table("image,concept\nother.png,red\n")).of(split())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_instances_are_put_into_equal_buckets_by_lot(seed):
    images = split(np.arange(1000) % 4)
    found = InstanceAttribute(64, seed).of(images)
    counts = np.bincount(found.values, minlength=64)
    assert found.count == 64
    assert counts.max() - counts.min() <= 1
    assert np.array_equal(found.values, InstanceAttribute(64, seed).of(images).values)
    assert not np.array_equal(found.values, InstanceAttribute(64, seed + 1).of(images).values)
    # By lot: neither the class nor the place among the images tells the bucket.
    by_class = np.array([np.bincount(found.values[images.labels == c]) for c in range(4)])
    assert by_class.max() < 15
    assert abs(np.corrcoef(found.values, np.arange(1000))[0, 1]) < 0.16


def test_few_images_have_a_bucket_each():
    found = InstanceAttribute(1024).of(split())
    assert sorted(found.values.tolist()) == list(range(6))
    assert found.count == 6


@pytest.mark.parametrize("kind", ["class", "superclass", "instance"])
def test_the_objective_reads_the_attribute_of_the_images_of_the_batch(table, kind):
    name = table("class,group\ndog,m\nant,i\ncat,m\nbee,i\n")
    losses = Losses(mutual_information=0.7, attribute=kind, attribute_table=name)
    images = split()
    values = attribute_values(losses, images, seed=0)
    torch.manual_seed(0)
    x = torch.randn(3, 3, 16, 16)
    network = decouple(build_model("small_cnn", 4, 0.25), x)
    objective = Objective(losses, network, 4, values)
    scores, path = network.with_path(x)
    positions = torch.tensor([4, 0, 1])
    labels = torch.from_numpy(images.labels)[positions]
    parts = objective(scores, labels, path, None, 0.5, positions)
    own = {"class": [2, 3, 0], "superclass": [1, 1, 0], "instance": values.values[[4, 0, 1]]}[kind]
    expected = 0.7 * objective.auxiliary(path, torch.tensor(own))
    assert parts["mutual_information"].item() == pytest.approx(expected.item())
    assert objective.auxiliary.classifiers[0].out_features == {"superclass": 2, "instance": 6}.get(
        kind, 4
    )
    with pytest.raises(ValueError, match="positions"):
        objective(scores, labels, path, None, 0.5)


def test_no_attribute_is_looked_up_that_no_loss_reads():
    assert attribute_values(Losses(attribute="superclass"), split(), 0) is None
