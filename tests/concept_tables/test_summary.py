"""Laying out, summing up and comparing concept tables."""

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import pathlens.concept_tables as room
from pathlens import concepts as door
from pathlens.concept_tables import coverage, summarise
from pathlens.concept_tables.layout import lay_out
from pathlens.concept_tables.registry import SOURCES, builder
from pathlens.concepts import concept_matrix
from pathlens.errors import PathLensError


@pytest.mark.parametrize("seed", range(4))
def test_a_laid_out_matrix_reads_as_it_was(seed):
    rng = np.random.default_rng(seed)
    images = [f"i{n}" for n in rng.permutation(20)]
    names = ["b", "a c", "zero", "d"]
    values = rng.random((20, 4)) * (rng.random((20, 4)) < 0.3)
    values[:, 2] = 0
    table = lay_out(images, names, values)
    matrix, known = concept_matrix(table, images)
    assert known.all()
    assert (matrix[names].to_numpy() == values).all()
    keys = list(zip(table["image"], table["concept"], strict=True))
    assert keys == sorted(set(keys))
    # one row at most for every image or concept that has nothing
    assert len(table) <= (values > 0).sum() + (values == 0).all(axis=1).sum() + 1


@pytest.mark.parametrize(
    ("images", "names", "sentence"),
    [
        (["a", "b "], ["x"], "image 'b ' begins or ends with a space"),
        (["a", "b"], [""], "concept '' .*is empty"),
        (["a", "b"], ["x", "x"], "Two concepts are called 'x'"),
    ],
)
def test_names_that_no_table_holds_are_refused(images, names, sentence):
    with pytest.raises(PathLensError, match=sentence):
        lay_out(images, names, np.ones((len(images), len(names))))


def on_by_loop(values):
    positive = sorted(value for value in values if value > 0)
    if all(value in (0, 1) for value in values):
        return len(positive)
    middle = len(positive) // 2
    median = (
        positive[middle] if len(positive) % 2 else (positive[middle - 1] + positive[middle]) / 2
    )
    return sum(value > median for value in values)


@pytest.mark.parametrize("seed", range(4))
def test_the_summary_counts_as_a_loop_does(seed):
    rng = np.random.default_rng(seed)
    values = rng.random((60, 5)) * (rng.random((60, 5)) < [0.9, 0.1, 0.5, 0.5, 1])
    values[:, 3:] = np.ceil(values[:, 3:])
    table = lay_out([f"i{n}" for n in range(60)], list("abcde"), values)
    for row, column in zip(summarise(table).itertuples(), values.T, strict=True):
        assert row.images == (column > 0).sum()
        assert row.share == row.images / 60
        assert row.on == on_by_loop(column.tolist())
        few = min(row.on, 60 - row.on) < 10
        assert row.note == ("always on" if row.on == 60 else "rare" if few else "")
    assert set(summarise(table)["note"]) == {"", "rare", "always on"}


def test_concepts_of_no_image_are_noted():
    table = lay_out(["a", "b"], ["none", "same"], np.array([[0, 0.5], [0, 0.5]]))
    found = summarise(table).set_index("concept")
    assert found["note"].tolist() == ["never on", "never on"]
    assert found["images"].tolist() == [0, 2]
    assert math.isnan(found.loc["none", "median"])


def test_coverage_counts_both_sides():
    table = pd.DataFrame(
        {"image": ["a", "a", "b", "z"], "concept": ["x", "y", "", "x"], "value": 1.0}
    )
    fit = coverage(table, ["b", "c", "a", "d"])
    assert (fit.images, fit.named, fit.unnamed, fit.strangers) == (4, 2, ("c", "d"), ("z",))
    for piece in ("2 of its 4 images named (50.0%)", "2 of its images not named (c, d)", "(z)"):
        assert piece in fit.summary()
    assert coverage(table, ["a"]).unnamed == ()
    assert coverage(table[:3], ["a", "b"]).summary() == "2 of its 2 images named (100.0%)"
    with pytest.raises(PathLensError, match=r"none of the 1 images .*like a, .*like q;"):
        coverage(table, ["q"])


def test_every_source_is_found_from_both_rooms():
    for source in SOURCES:
        name = f"build_{source}"
        assert getattr(door, name) is getattr(room, name) is builder(source)
    for module, name in [(door, "build_nothing"), (door, "nothing"), (room, "nothing")]:
        with pytest.raises(AttributeError, match=name):
            getattr(module, name)
    with pytest.raises(PathLensError, match="did you mean masks"):
        builder("mask")


def test_building_needs_no_torch_and_reading_no_pictures():
    code = (
        "import sys, pathlens.concepts\n"
        "assert 'PIL' not in sys.modules\n"
        "sys.modules['torch'] = sys.modules['torchvision'] = None\n"
        "from pathlens.concept_tables.registry import SOURCES, builder\n"
        "[builder(source) for source in SOURCES]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
