"""`pathlens concepts build` as a user meets it."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pathlens import write_recording
from pathlens.cli.app import app
from pathlens.concept_tables.registry import SOURCES
from pathlens.concepts import read_concepts
from pathlens.errors import PathLensError

from .helpers import classed, save, write

IDS = [f"{kind}/{n}.png" for kind in ("cat", "dog") for n in range(3)]


def run(*arguments):
    return CliRunner().invoke(app, ["concepts", "build", *map(str, arguments)])


@pytest.fixture
def sources(tmp_path):
    """Arguments of every source for the same six images."""
    data = classed(tmp_path / "data", IDS)
    for name in IDS:
        save(tmp_path / "masks" / name, np.arange(48, dtype=np.uint8).reshape(6, 8) % 2)
    np.save(tmp_path / "counts.npy", np.eye(3, 2, dtype=int) + 1)
    flat = classed(tmp_path / "flat", ["0.png", "1.png", "2.png"])
    names = write(tmp_path / "names.txt", "cat\ndog\n")
    classes = write(tmp_path / "classes.txt", "0 ground\n1 animal\n")
    boxes = write(tmp_path / "boxes.csv", "image,concept,x0,y0,x1,y1\ncat/1.png,tail,0,0,3,2\n")
    hierarchy = write(tmp_path / "super.tsv", "class\tfelid\ncat\t1\ndog\t0\n")
    attributes = write(tmp_path / "matrix.txt", "1 0\n0 1\n")
    words = write(tmp_path / "words.txt", "barks\npurrs\n")
    return {
        "masks": [tmp_path / "masks", "--images", data, "--classes", classes],
        "boxes": [boxes, "--images", data, "--complete"],
        "hierarchy": [hierarchy, "--images", data],
        "attributes": [attributes, "--images", data, "--classes", names, "--attributes", words],
        "counts": [tmp_path / "counts.npy", "--images", flat, "--classes", names],
    }


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_has_a_command_whose_table_can_be_read(tmp_path, sources, source, suffix):
    out = tmp_path / "new" / f"table{suffix}"
    done = run(source, *sources[source], "-o", out)
    assert done.exit_code == 0, done.output
    table = read_concepts(out)
    assert set(table["image"]) == ({"0.png", "1.png", "2.png"} if source == "counts" else set(IDS))
    assert f"Table: {out} ({table['image'].nunique()} images, {len(table)} rows)" in done.output
    for concept in set(table["concept"]) - {""}:
        assert any(line.startswith(concept) for line in done.output.splitlines())
    first = out.read_bytes()
    assert run(source, *sources[source], "-o", out).exit_code == 0
    assert out.read_bytes() == first


def recording(tmp_path, images):
    bits = {"conv": np.zeros((len(images), 4), dtype=bool)}
    write_recording(tmp_path / "rec", bits, pd.DataFrame({"image": images}))
    return tmp_path / "rec"


def test_a_recording_is_compared(tmp_path, sources):
    folder = recording(tmp_path, [*IDS[:4], "other.png"])
    done = run("hierarchy", *sources["hierarchy"], "-o", tmp_path / "t.csv", "--recording", folder)
    assert done.exit_code == 0, done.output
    assert "4 of its 5 images named (80.0%)" in done.output
    assert "1 of its images not named (other.png)" in done.output
    assert "2 images named that it does not hold (dog/1.png, dog/2.png)" in done.output


def test_a_table_of_other_images_is_not_written(tmp_path, sources):
    folder = recording(tmp_path, ["data/cat/0.png"])
    out = tmp_path / "t.csv"
    done = run("hierarchy", *sources["hierarchy"], "-o", out, "--recording", folder)
    assert isinstance(done.exception, PathLensError)
    assert "name none of the 1 images" in str(done.exception)
    assert not out.exists()
    done = run("hierarchy", *sources["hierarchy"], "-o", tmp_path / "t.txt")
    assert "end in .csv or .parquet" in str(done.exception)


def test_a_table_in_the_recording_travels_with_it(tmp_path, sources):
    from pathlens import open_recording

    folder = recording(tmp_path, IDS)
    done = run("masks", *sources["masks"], "-o", folder / "concepts.csv", "--recording", folder)
    assert done.exit_code == 0, done.output
    found = open_recording(folder)
    found.verify()
    assert set(found.concepts()["value"]) == {0.5}


def test_one_sentence_in_a_real_process(tmp_path, sources):
    command = [sys.executable, "-m", "pathlens", "concepts", "build", "hierarchy", "none.tsv"]
    command += ["--images", str(tmp_path / "data"), "-o", str(tmp_path / "t.csv")]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONWARNINGS": "error::UserWarning"},
    )
    assert done.returncode == 1
    assert done.stderr == "pathlens: There is no file none.tsv: check its name.\n"


def test_what_is_left_out_is_said(tmp_path, sources):
    done = run("boxes", *sources["boxes"][:-1], "-o", tmp_path / "t.csv")
    assert "Note: 5 images have no row in boxes.csv and stay unknown" in done.output
    assert any(line.startswith("tail") and "never on" in line for line in done.output.splitlines())
