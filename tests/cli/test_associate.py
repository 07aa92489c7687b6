"""`pathlens associate`: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from pathlens.analysis.associating.association_table import MAIN_COLUMNS
from pathlens.cli.associate import associate
from pathlens.errors import PathLensError
from pathlens.recording import write_recording
from pathlens.recording.beside import CONFIRMATIONS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two recordings of the same images, `own` and `plain`, and a concept table."""
    root = tmp_path_factory.mktemp("associate")
    rng = np.random.default_rng(0)
    bits = rng.random((600, 8)) < 0.5
    striped = (bits[:, 1] & bits[:, 4]) ^ (rng.random(600) < 0.05)
    images = pd.DataFrame(
        {"image": [f"img/{i:03d}.png" for i in range(600)], "label": rng.integers(0, 3, 600)}
    )
    other = rng.random((600, 8)) < 0.5
    for name, code in (("own", bits), ("plain", other)):
        layers = {"body.conv": code, "head.conv": code[:, ::-1]}
        write_recording(root / name, layers, images, classes=["a", "b", "c"])
    rows = images.assign(concept=np.where(striped, "striped", ""), value=1.0 * striped)
    rows[["image", "concept", "value"]].to_csv(root / "concepts.csv", index=False)
    return root


@pytest.fixture
def run(folder):
    app = typer.Typer()
    app.command()(associate)

    def call(*arguments):
        (folder / "own" / CONFIRMATIONS).unlink(missing_ok=True)
        return CliRunner().invoke(app, [str(x) for x in arguments])

    return call


def test_it_prints_the_sentence_and_writes_tables_and_figure(folder, run, tmp_path):
    out = tmp_path / "found"
    done = run(
        *(folder / "own", "--concepts", folder / "concepts.csv", "--layer", "body.*"),
        *("--baseline", folder / "plain", "--out", out),
    )
    assert done.exit_code == 0, done.output
    assert (
        "images with striped are routed through filters 1+4 of layer 1 (body.conv)" in done.stdout
    )
    assert done.stdout.splitlines()[-1] == f"Tables and figure: {out}"
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("striped"))
    assert row[:3] == ["striped", "1", "1+4"]
    assert row[-2:] == ["beyond", "class"]
    assert {path.name for path in out.iterdir()} == {
        "tables",
        "associations.png",
        "associations.svg",
        "summary.json",
    }
    table = pd.read_csv(out / "tables" / "associations.csv")
    assert tuple(table.columns[: len(MAIN_COLUMNS)]) == MAIN_COLUMNS
    assert set(table["layer"]) == {1}
    beside = pd.read_csv(out / "tables" / "association_baselines.csv")
    assert len(beside) == len(table)
    assert set(beside["baseline"]) == {"plain"}
    promised = ["baseline", "phi", "phi_ci_low", "phi_ci_high"]
    promised += ["difference", "difference_ci_low", "difference_ci_high"]
    assert set(promised) <= set(beside.columns)
    numbers = json.loads((out / "summary.json").read_text())
    assert numbers["confirmed"] == int(table["confirmed"].sum()) > 0
    assert numbers["uses"] == 1


def test_options_reach_the_search(folder, run):
    done = run(
        *(folder / "own", "--concepts", folder / "concepts.csv", "--max-size", 1),
        *("--correction", "by", "--seed", 3),
    )
    assert done.exit_code == 0, done.output
    assert "Benjamini-Yekutieli" in done.stdout
    assert "+" not in done.stdout.split("\n\n")[1]
    assert "Of 64 candidates in 2 layers" in done.stdout


def test_the_use_of_the_confirmation_images_is_counted(folder, run):
    app = typer.Typer()
    app.command()(associate)
    run(folder / "own")
    again = CliRunner().invoke(app, [str(folder / "own")])
    assert "different questions" not in again.stdout
    other = CliRunner().invoke(app, [str(folder / "own"), "--max-size", "1"])
    assert "answered 2 different questions" in other.stdout
    assert "another --seed is no remedy" in other.stdout


def test_the_verdict_stands_first_and_the_details_on_lines_of_their_own(folder, run):
    done = run(folder / "own", "--concepts", folder / "concepts.csv")
    lines = done.stdout.splitlines()
    assert re.fullmatch(
        r"\d+ of \d+ tested associations held up on images that were not searched\.", lines[0]
    )
    assert lines[1].startswith("Of ")
    assert lines[2].startswith("Strongest: images with striped")
    assert lines[-1] == "No tables written; --out FOLDER keeps them."
    nothing = run(folder / "plain")
    assert re.match(r"No association held up: 0 of \d+ tested\.\n", nothing.stdout)


def test_progress_is_on_stderr(folder, run):
    done = run(folder / "own", "--layer", "body.conv", "--max-size", 1)
    assert "search: 100%" in done.stderr
    assert "search" not in done.stdout.splitlines()[-1]


def test_images_of_the_table_that_the_recording_lacks_are_told(folder, run, tmp_path):
    table = (folder / "concepts.csv").read_text()
    few, many = tmp_path / "few.csv", tmp_path / "many.csv"
    few.write_text(table + "val/ghost.jpg,striped,1\nval/other.jpg,striped,1\n")
    many.write_text(table + "".join(f"val/{i}.jpg,striped,1\n" for i in range(100)))
    told = run(folder / "own", "--concepts", few, "--max-size", 1).stdout
    assert (
        "2 images of the concept table that the recording does not have (first: val/ghost.jpg)"
        in told
    )
    assert "Warning" not in told
    first = run(folder / "own", "--concepts", many, "--max-size", 1).stdout.splitlines()[0]
    assert first.startswith("Warning: 100 of the 700 images of the concept table (14%) are unknown")


def test_a_ledger_that_cannot_be_kept_is_said(folder, run, monkeypatch):
    def refused(*_):
        raise PathLensError("Not allowed to write there.")

    monkeypatch.setattr("pathlens.analysis.associating.ledger.note_use", refused)
    done = run(folder / "own")
    assert done.exit_code == 0
    assert "Not noted beside the recording: Not allowed" in done.output


def test_former_associations_are_replaced_and_strangers_are_not(folder, run, tmp_path):
    out = tmp_path / "found"
    run(folder / "own", "--out", out)
    (out / "summary.json").write_text('{"kind": "associations"}')
    assert run(folder / "own", "--out", out).exit_code == 0
    assert "searched" in (out / "summary.json").read_text()
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "summary.json").write_text('{"kind": "comparison"}')
    done = run(folder / "own", "--out", stranger)
    assert isinstance(done.exception, PathLensError)
    assert "holds other files than" in str(done.exception)
    assert [path.name for path in stranger.iterdir()] == ["summary.json"]


def test_a_failed_run_leaves_no_folder(folder, run, tmp_path, monkeypatch):
    def full_disk(*_):
        raise PathLensError("The disk is full.")

    monkeypatch.setattr("pathlens.files.write_bytes", full_disk)
    done = run(folder / "own", "--out", tmp_path / "found")
    assert "disk is full" in str(done.exception) + done.output
    assert list(tmp_path.iterdir()) == []


def test_bad_input_is_told_in_one_sentence(folder, run, tmp_path):
    strange = tmp_path / "strange.csv"
    strange.write_text("image,concept\nelsewhere.png,x\n")
    for arguments, words in (
        (["--concepts", strange], r"matches none of the 600 images"),
        (["--concepts", tmp_path / "none.csv"], "There is no concept file"),
        (["--layer", "bodi.conv"], "body.conv"),
        (["--correction", "none"], "one of holm, bh, by"),
        (["--quality", "beauty"], "quality"),
        (["--sequence"], "Without groups"),
        (["--baseline", folder / "plain", "--baseline", folder / "plain"], "given twice"),
    ):
        done = run(folder / "own", *arguments)
        assert isinstance(done.exception, PathLensError), arguments
        assert words in str(done.exception)
